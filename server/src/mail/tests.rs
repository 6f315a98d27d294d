use std::{fs, os::unix::fs::PermissionsExt as _};

use askama::Template;

use super::*;
use crate::testing::{NOW, TestServer};

#[derive(Template)]
#[template(source = "Your link: {{ link }}", ext = "txt")]
struct Link<'a> {
    link: &'a str,
}

impl Letter for Link<'_> {
    fn subject(&self) -> String {
        "A link".to_owned()
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn without_a_mail_server_letters_stay_in_the_outbox() {
    let server = TestServer::start();
    let mail = &server.app.mail;
    let (directory, stays) = mail.outbox();
    assert!(stays);
    let link = Link { link: "https://pay.example/reset?a=b&c=d" };
    mail.send(Message::new("ana@shop.example", &link).expect("a letter")).await.expect("written");
    mail.deliver().await.expect("nothing to do");
    let [file] = files(directory).try_into().expect("one letter");
    let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = fs::read_to_string(&file).expect("text");
    assert!(text.contains("From: MakePay <no-reply@pay.example>\r\n"), "{text}");
    assert!(text.contains("To: ana@shop.example\r\n"), "{text}");
    assert!(text.ends_with("https://pay.example/reset?a=b&c=d"), "{text}");

    server.clock.advance(30 * 24 * 3600 - 1);
    mail.deliver().await.expect("keeps");
    assert_eq!(files(directory), [file]);
    // A writer was killed; another is at work.
    let begun = [NOW, server.clock.now().0].map(|at| directory.join(format!("{at:012}-x.new-7-1")));
    for path in &begun {
        fs::write(path, "half a let").expect("writes");
    }
    mail.deliver().await.expect("forgets");
    assert!(!begun[0].exists() && begun[1].exists());
    fs::remove_file(&begun[1]).expect("removes");
    server.clock.advance(1);
    mail.deliver().await.expect("puts away");
    assert_eq!(files(directory), <[PathBuf; 0]>::default());
    assert_eq!(files(&directory.join("failed")).len(), 1);
    server.clock.advance(30 * 24 * 3600);
    mail.deliver().await.expect("forgets");
    assert_eq!(files(&directory.join("failed")).len(), 0);
}

#[tokio::test]
async fn a_letter_that_cannot_be_handed_over_waits_and_is_given_up_after_a_day() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let server = TestServer::with(|config| {
        config.mail.host = Some("127.0.0.1".to_owned());
        config.mail.port = port;
        config.mail.tls = crate::config::MailTls::None;
        config.mail.from = Some("pay@pay.example".to_owned());
    });
    let mail = &server.app.mail;
    let (directory, stays) = mail.outbox();
    assert!(!stays);
    let link = Link { link: "x" };
    mail.send(Message::new("ana@shop.example", &link).expect("a letter")).await.expect("written");
    mail.deliver().await.expect("tries");
    assert_eq!(files(directory).len(), 1);
    let waits = || mail.waiting().values().map(|next| next.at.0).collect::<Vec<_>>();
    let now = server.app.now().0;
    assert_eq!(waits(), [now + 2]);
    mail.deliver().await.expect("does not try");
    assert_eq!(waits(), [now + 2]);
    server.clock.advance(2);
    mail.deliver().await.expect("tries");
    assert_eq!(waits(), [now + 6]);
    server.clock.advance(24 * 3600);
    mail.deliver().await.expect("gives up");
    assert_eq!((files(directory).len(), files(&directory.join("failed")).len()), (0, 1));
    mail.deliver().await.expect("has forgotten it");
    assert_eq!(waits(), <[i64; 0]>::default());
}

#[test]
fn a_password_file_is_read_strictly() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    let open = |text: &str, mode: u32| {
        fs::write(&file, text).expect("writes");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("sets");
        let server = crate::config::Mail {
            host: Some("mail.example".to_owned()),
            from: Some("pay@pay.example".to_owned()),
            user: Some("pay".to_owned()),
            password_file: Some(file.clone()),
            ..crate::config::Mail::default()
        };
        Transport::open(&server).map(|transport| transport.is_some()).map_err(|e| e.to_string())
    };
    assert_eq!(open("swordfish\n", 0o600), Ok(true));
    assert_eq!(open("swordfish", 0o640), Ok(true));
    for (text, mode) in [("swordfish\n", 0o604), ("", 0o600), ("\n", 0o600), ("a\nb\n", 0o600)] {
        let error = open(text, mode).expect_err("refused");
        assert!(error.contains("password: ") && !error.contains("swordfish"), "{error}");
    }
}
