//! One caller takes everything that is his; another is served all the same.

use anyhow::Result;
use world::{Line, Place};

use super::{SHOPS, status, status_with, with_port};

#[tokio::test]
async fn who_asks_too_often_waits_and_keeps_nobody_waiting() -> Result<()> {
    let local = "[local.limits]\ncontrol_per_second = 1\ncontrol_burst = 20\ncalls_per_second = 1\ncalls_burst = 3";
    let (daemon, address, _tokens) = with_port(local, None).await?;
    let socket = daemon.place();
    let mut served = 0;
    let refused = loop {
        let answer = socket.say(status("shop")).await?;
        if answer.status() != 200 {
            break answer;
        }
        served += 1;
        assert!(served < 1_000, "no end");
    };
    assert!(served >= 20, "the burst is his: {served}");
    assert_eq!((refused.status(), refused.code().as_str()), (429, "too_many_requests"));
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));

    // Forwarded calls are counted apart, another caller apart, and the owner's socket not at all.
    let call = status("shop").replace("/v1/status", "/v1/api/makepay/payment-links");
    let mut codes = Vec::new();
    while codes.last().is_none_or(|code| code != "too_many_requests") {
        codes.push(socket.say(&call).await?.code());
        assert!(codes.len() < 1_000, "no end");
    }
    assert!(codes.len() > 3 && codes[..3].iter().all(|code| code == "not_connected"), "{codes:?}");
    assert_eq!(Place::Port(address).say(status_with("shop", SHOPS)).await?.status(), 200);
    for _ in 0..100 {
        assert_eq!(daemon.owners_place().say(status("shop")).await?.status(), 200);
    }
    Ok(())
}

#[tokio::test]
async fn who_holds_all_his_connections_gets_no_more_and_others_do() -> Result<()> {
    let (daemon, address, _tokens) = with_port("", Some(128)).await?;
    let (socket, port) = (daemon.place(), Place::Port(address));
    let mut held: Vec<Line> = Vec::new();
    let refused = loop {
        let mut line = socket.open().await?;
        line.write(status("shop").replace("Connection: close\r\n", "")).await?;
        let answer = line.read_one().await?;
        if answer.status() != 200 {
            break answer;
        }
        held.push(line);
        assert!(held.len() < 128, "no end");
    };
    assert_eq!((refused.status(), refused.code().as_str()), (429, "too_many_connections"));
    assert_eq!(held.len(), 16, "half of what 128 descriptors leave");
    assert_eq!(port.say(status_with("shop", SHOPS)).await?.status(), 200, "another caller");
    assert_eq!(daemon.owners_place().say(status("shop")).await?.status(), 200, "the owner");
    // What is held works, and what is given back can be had again.
    let mut last = held.swap_remove(0);
    last.write(status("shop")).await?;
    assert_eq!(last.read_to_end().await?.status(), 200);
    world::until("a place is free again", async || {
        (socket.say(status("shop")).await.ok()?.status() == 200).then_some(())
    })
    .await
}

#[tokio::test]
async fn slow_heads_and_bodies_are_ended_and_hold_nobody_up() -> Result<()> {
    let (daemon, _address, _tokens) = with_port("", None).await?;
    let socket = daemon.place();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut line = socket.open().await?;
        line.write("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await?;
        slow.push((line, 0));
    }
    let mut line = socket.open().await?;
    let head = status("shop").replacen("GET /v1/status", "POST /v1/callback", 1);
    line.write(head.replacen("\r\n\r\n", "\r\nContent-Length: 100\r\n\r\n{", 1)).await?;
    slow.push((line, 400));
    let idle = socket.open().await?;
    slow.push((idle, 0));
    assert_eq!(socket.say(status("shop")).await?.status(), 200);
    for (mut line, status) in slow {
        let answer = line.read_to_end().await?;
        assert!([0, 408, status].contains(&answer.status()), "{}", answer.text());
    }
    Ok(())
}
