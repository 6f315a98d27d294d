//! Answers whose head came whole, and whose body did not.

use super::*;

#[tokio::test]
async fn a_body_that_breaks_off_is_cut_there_if_the_status_suffices() {
    let (address, _serving) = host("HTTP/1.1 202 Accepted\r\ncontent-length: 9\r\n\r\nx").await;
    let request = || get(format!("http://{address}/"));
    let failure = trying().send(request()).await.expect_err("no answer");
    assert_eq!(failure.code(), "answer_broken");
    let answer = trying().send(Request { status_suffices: true, ..request() }).await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (202, &b"x"[..]));
    assert!(answer.truncated);
}

#[tokio::test]
async fn a_head_that_breaks_off_is_no_answer() {
    for text in ["", "HTTP/1.1 200 OK\r\n"] {
        let (address, _serving) = host(text).await;
        let request = Request { status_suffices: true, ..get(format!("http://{address}/")) };
        let failure = trying().send(request).await.expect_err("no answer");
        assert_eq!(failure.code(), "answer_broken", "{text}");
    }
}

/// The host writes more than any socket holds, so the client has read the head when all is written. Then the clock
/// stands, and jumps to the end of the client's patience.
#[tokio::test]
async fn a_body_that_stalls_is_cut_there_if_the_status_suffices() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    for status_suffices in [true, false] {
        let client = trying();
        let url = format!("http://{address}/");
        let sending = client.send(Request { keep: usize::MAX, status_suffices, ..get(url) });
        let serving = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            head(&mut stream).await;
            let begun = b"HTTP/1.1 200 OK\r\nretry-after: 7\r\ncontent-length: 99999999\r\n\r\n";
            stream.write_all(begun).await.expect("writes");
            stream.write_all(&vec![b'x'; 32 << 20]).await.expect("writes");
            tokio::time::pause();
            stream
        };
        let (sent, _held) = tokio::join!(sending, serving);
        tokio::time::resume();
        if status_suffices {
            let answer = sent.expect("an answer");
            assert_eq!((answer.status.as_u16(), answer.truncated), (200, true));
            assert_eq!(answer.headers["retry-after"], "7");
            assert!(answer.body.starts_with(b"x"));
        } else {
            assert_eq!(sent.expect_err("no answer").code(), "answer_timed_out");
        }
    }
}
