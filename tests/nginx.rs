//! nginx in front of the server: memcached_pass with a hit, a miss and the fallback behind it.
//!
//! nginx checks the reply byte for byte - the key, no CAS id, the seven bytes behind the value -
//! and turns anything else into an error page, so it is a strict reader of the simplest command
//! there is.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Server, scratch_path};

/// An nginx of our own, with its files in a scratch folder; dropping it kills it.
struct Nginx {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Nginx {
    fn before(server: &Server) -> Self {
        let folder = scratch_path(&format!("nginx-{}", server.port()));
        fs::create_dir_all(&folder).expect("a scratch folder can be made");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(port, server)).expect("the configuration can be written");
        let child = Command::new("/usr/sbin/nginx")
            .args(["-e", "stderr", "-p"])
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts: run tests/setup.sh first");
        Self { child, port, folder }
    }

    /// The status and the body of a page.
    fn page(&self, path: &str) -> (String, String) {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").expect("nginx takes the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("nginx answers in text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).expect("a status").to_string();
        (status, body.to_string())
    }

    fn connect(&self) -> TcpStream {
        let since = Instant::now();
        loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => {
                    let limit = Some(Duration::from_secs(10));
                    stream.set_read_timeout(limit).expect("a time-out can be set");
                    return stream;
                }
                Err(error) => assert!(since.elapsed() < Duration::from_secs(10), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configuration(port: u16, server: &Server) -> String {
    let address = server.address();
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;
         events {{ worker_connections 64; }}
         http {{
           access_log off;
           client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
           uwsgi_temp_path uwsgi; scgi_temp_path scgi;
           upstream cache {{ server {address}; keepalive 4; }}
           server {{
             listen 127.0.0.1:{port};
             location / {{
               set $memcached_key $uri;
               memcached_pass cache;
               error_page 404 502 504 = @made;
             }}
             location /bare/ {{ set $memcached_key $uri; memcached_pass cache; }}
             location @made {{ return 200 made; }}
           }}
         }}"
    )
}

#[test]
fn memcached_pass_hits_misses_and_falls_back() {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-t", cores]);
        let nginx = Nginx::before(&server);
        let mut wire = server.connect();
        let page = "a page of the cache\r\nof two lines";
        wire.expect(format!("set /page 0 0 {}\r\n{page}\r\n", page.len()), "STORED\r\n");
        wire.expect("set /bare/empty 0 0 0\r\n\r\n", "STORED\r\n");
        for _ in 0..20 {
            assert_eq!(nginx.page("/page"), ("200".into(), page.into()));
            assert_eq!(nginx.page("/none"), ("200".into(), "made".into()));
            assert_eq!(nginx.page("/bare/none").0, "404");
            assert_eq!(nginx.page("/bare/empty"), ("200".into(), String::new()));
        }
        let large = "x".repeat(900_000);
        wire.expect(format!("set /large 0 0 {}\r\n{large}\r\n", large.len()), "STORED\r\n");
        assert_eq!(nginx.page("/large"), ("200".into(), large));
    }
}
