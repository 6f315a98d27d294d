//! The log of the replay memory: segments of fixed records, each segment headed by the boot of the machine that wrote it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use counterfoil_protocol::UnixTime;

use super::Name;
use crate::files;

/// Seconds after which a new segment is begun. A segment goes when its last proof has expired, so there are few.
const SEGMENT_SECONDS: i64 = 300;

/// A name and the second until which it is kept.
const RECORD: usize = 16 + 8;

/// Magic, the boot id padded with zeros, until when proofs were made that nobody remembers, and the latest end of those
/// whose segments are gone.
const HEADER: usize = FORGOTTEN + 8;
const FORGOTTEN: usize = ORIGIN + 8;
const ORIGIN: usize = 16 + 40;
const MAGIC: &[u8; 16] = b"counterfoil-pop2";

/// The segments; the newest is written.
pub(super) struct Log {
    directory: PathBuf,
    header: [u8; HEADER],
    current: Segment,
    closed: Vec<Segment>,
    number: u64,
    blind_until: Option<UnixTime>,
    forgotten: UnixTime,
    /// Held as long as this server lives.
    _lock: File,
}

struct Segment {
    path: PathBuf,
    file: Option<File>,
    length: u64,
    begun: UnixTime,
    /// When the last of its proofs has expired; the beginning of time where it has none.
    until: UnixTime,
}

impl Log {
    /// Reads all segments, handing every record to `remember`, and begins a new one. Never appends to an old one: its
    /// end may be torn.
    pub(super) fn open(
        directory: &Path,
        had_database: bool,
        boot: Option<&str>,
        now: UnixTime,
        mut remember: impl FnMut(Name, UnixTime),
    ) -> io::Result<Self> {
        files::private_directory(directory)?;
        let lock = files::try_lock(directory)?.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another server runs on this data directory",
            )
        })?;
        let origin = origin(boot.unwrap_or_default());
        let (mut closed, mut number, mut of_another_boot) = (Vec::new(), 0, false);
        let (mut blind_until, mut forgotten) = (None, UnixTime::default());
        for (n, path) in segments(directory)? {
            number = number.max(n);
            let content = read(&path)?;
            let head = content.first_chunk::<HEADER>();
            let Some(head) = head.filter(|head| boot.is_some() && head[..ORIGIN] == origin) else {
                // A segment that was not even begun holds nothing, whoever made it.
                of_another_boot |= !content.is_empty();
                fs::remove_file(&path)?;
                continue;
            };
            let blind = seconds(&head[ORIGIN..FORGOTTEN]);
            blind_until = blind_until.max(Some(blind).filter(|blind| blind.0 != 0));
            forgotten = forgotten.max(seconds(&head[FORGOTTEN..]));
            let mut last = UnixTime::default();
            for record in content[HEADER..].chunks_exact(RECORD) {
                let (name, until) = record.split_at(16);
                let until = seconds(until);
                last = last.max(until);
                if until > now {
                    remember(name.try_into().expect("16 bytes"), until);
                } else {
                    forgotten = forgotten.max(until);
                }
            }
            closed.push(Segment { path, file: None, length: 0, begun: now, until: last });
        }
        if of_another_boot || (closed.is_empty() && had_database) {
            blind_until = Some(now);
        }
        let mut header = [0; HEADER];
        header[..ORIGIN].copy_from_slice(&origin);
        let blind = blind_until.unwrap_or_default();
        header[ORIGIN..FORGOTTEN].copy_from_slice(&blind.0.to_be_bytes());
        header[FORGOTTEN..].copy_from_slice(&forgotten.0.to_be_bytes());
        number += 1;
        let current = Segment::begin(directory, number, &header, now)?;
        let directory = directory.to_owned();
        Ok(Self { directory, header, current, closed, number, blind_until, forgotten, _lock: lock })
    }

    /// Until when proofs were made of which nobody remembers which were seen. Kept in every segment, so that a second
    /// start soon after knows it too.
    pub(super) fn blind_until(&self) -> Option<UnixTime> {
        self.blind_until
    }

    /// The latest end of the proofs that were written once and were not read back when this was opened.
    pub(super) fn forgotten(&self) -> UnixTime {
        self.forgotten
    }

    /// Appends a record with one write.
    pub(super) fn append(&mut self, name: Name, until: UnixTime, now: UnixTime) -> io::Result<()> {
        // Either way: after a clock that was years ahead, one segment would grow for years.
        if now.since(self.current.begun).abs() >= SEGMENT_SECONDS {
            self.rotate(now)?;
        }
        let mut record = [0; RECORD];
        record[..16].copy_from_slice(&name);
        record[16..].copy_from_slice(&until.0.to_be_bytes());
        self.current.append(&record)?;
        self.current.until = self.current.until.max(until);
        Ok(())
    }

    fn rotate(&mut self, now: UnixTime) -> io::Result<()> {
        let ended = [&self.current].into_iter().chain(&self.closed).map(|segment| segment.until);
        self.forgotten = ended.filter(|until| *until <= now).fold(self.forgotten, UnixTime::max);
        // What is about to go is told by what stays, written first.
        self.header[FORGOTTEN..].copy_from_slice(&self.forgotten.0.to_be_bytes());
        let next = Segment::begin(&self.directory, self.number + 1, &self.header, now)?;
        self.number += 1;
        let mut last = std::mem::replace(&mut self.current, next);
        last.file = None;
        self.closed.push(last);
        self.closed.retain(|segment| {
            // One that cannot be removed is tried again at the next rotation.
            segment.until > now || fs::remove_file(&segment.path).is_err()
        });
        Ok(())
    }
}

impl Segment {
    fn begin(
        directory: &Path,
        number: u64,
        header: &[u8; HEADER],
        now: UnixTime,
    ) -> io::Result<Self> {
        let path = directory.join(format!("{number:020}.log"));
        // A name that a failed attempt has left behind is taken over, emptied.
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(header)?;
        Ok(Self {
            path,
            file: Some(file),
            length: HEADER as u64,
            begun: now,
            until: UnixTime::default(),
        })
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        // A write that was cut short must not shift the records after it: positions are ours, not the file's.
        std::os::unix::fs::FileExt::write_all_at(file, record, self.length)?;
        self.length += record.len() as u64;
        Ok(())
    }
}

/// What names one run of the machine's kernel. Nothing where there is no such name: then no log outlives its process.
pub(super) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty() && id.len() <= ORIGIN - MAGIC.len())
}

fn origin(boot: &str) -> [u8; ORIGIN] {
    let mut origin = [0; ORIGIN];
    origin[..16].copy_from_slice(MAGIC);
    origin[16..16 + boot.len()].copy_from_slice(boot.as_bytes());
    origin
}

fn seconds(bytes: &[u8]) -> UnixTime {
    UnixTime(i64::from_be_bytes(bytes.try_into().expect("8 bytes")))
}

fn segments(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_suffix(".log").and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.read_to_end(&mut content)?;
    Ok(content)
}
