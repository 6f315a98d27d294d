//! The letters that a server wrote.

use std::{fs, time::Duration};

use crate::testing::TestServer;

/// All of them, oldest first.
pub fn letters(server: &TestServer) -> Vec<String> {
    let (outbox, _) = server.app.mail.outbox();
    let entries = fs::read_dir(outbox).expect("an outbox").flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .collect();
    paths.sort();
    let read = |path| fs::read_to_string(path).expect("text");
    paths.into_iter().map(read).map(decoded).collect()
}

/// Quoted-printable undone where a letter has it, as far as links and our sentences are concerned.
fn decoded(letter: String) -> String {
    if letter.contains("\r\nContent-Transfer-Encoding: quoted-printable\r\n") {
        letter.replace("=\r\n", "").replace("=3D", "=")
    } else {
        letter
    }
}

/// Waits until there are so many.
pub async fn wait_for(server: &TestServer, count: usize) {
    let wait = async {
        while letters(server).len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("letters are written");
}

/// The newest letter to somebody.
pub async fn letter(server: &TestServer, to: &str) -> String {
    let to = format!("To: {to}\r\n");
    wait_for(server, 1).await;
    letters(server).into_iter().rfind(|letter| letter.contains(&to)).expect("a letter")
}

/// The path of the link in a letter.
pub fn link_in(letter: &str) -> String {
    let rest = letter.split_once("https://pay.example").expect("a link").1;
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}
