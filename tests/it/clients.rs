//! A client that others wrote: Python's `httpx-sse`, in the loop that its callers have to write. (Browsers and npm's
//! clients are tested in `web-demo/e2e`.)

use crate::support::{Gateway, Program, Setup, generic, now_s, token};
use std::{path::Path, process::Command};

#[tokio::test]
async fn httpx_sse_follows_a_payment_across_a_kill_to_its_end() {
    let python = std::env::var("PAYSTREAM_PYTHON").expect(
        "PAYSTREAM_PYTHON names a Python with tests/clients/requirements.txt installed; tests/run sets it",
    );
    let mut gateway = Gateway::with(Setup::stream("linger = \"1s\"")).await;
    let mut client = Program::spawn(
        Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/follow.py"))
            .args([&format!("http://{}", gateway.public), "pay_1", &token("default", &["pay_1"])]),
    );
    assert_eq!(client.next().await["status"], "unknown");
    let mut seq = 0;
    for round in 0..3 {
        for _ in 0..5 {
            seq += 1;
            gateway.accept(&generic(&format!("e{seq}"), "pending", "pay_1", now_s() - 60)).await;
        }
        for expected in seq - 4..=seq {
            let mut update = client.next().await;
            if update["type"] == "ready" {
                update = client.next().await;
            }
            assert_eq!(
                (&update["type"], update["seq"].as_u64()),
                (&"update".into(), Some(expected)),
                "round {round}"
            );
        }
        gateway.kill();
        gateway.restart().await;
    }
    gateway.accept(&generic("last", "confirmed", "pay_1", now_s())).await;
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "closing") {
        words.push(client.next().await["type"].as_str().unwrap().to_owned());
    }
    words.retain(|word| word != "ready");
    assert_eq!(words, ["update", "closing"]);
    // The clean end brings it back once more, and 204 sends it home.
    assert!(client.ended().await.success());
}
