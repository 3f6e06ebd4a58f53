//! Serves folders over HTTP on this machine only, with the headers that a page needs to be isolated (or without them).
//!
//! It serves files and nothing else: no upload, no listing, no path outside its folders. Each connection has a thread of its own: a
//! browser opens six at once and keeps them, and a pool that is smaller than that leaves some without an answer.

use std::io::{self, BufReader, BufWriter, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};

use self::http::{Failure, Request, Response};

mod files;
mod http;

/// The time for which a connection may be idle, or which it may take to send a request or to read an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folders that are served, and the headers of the answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Site {
    /// Folders and the paths under which they appear; the first that has a file wins.
    pub(crate) mounts: Vec<(&'static str, PathBuf)>,
    /// Whether the pages are cross-origin isolated, and so have SharedArrayBuffer.
    pub(crate) isolated: bool,
    /// Paths, and the Content-Security-Policy that their answers have.
    pub(crate) policies: Vec<(&'static str, &'static str)>,
}

/// A server that accepts connections until it is dropped.
pub(crate) struct Running {
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
    port: u16,
}

impl Running {
    /// The address to open.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for address in &self.addresses {
            // A listener looks at the flag when someone knocks; if no one can knock, it has ended already.
            let _ = TcpStream::connect_timeout(address, PATIENCE);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so already.
            let _ = thread.join();
        }
    }
}

/// Starts to serve a site; port 0 takes a free one.
///
/// # Errors
/// If the port is in use.
pub(crate) fn start(site: Site, port: u16) -> Result<Running> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("port {port} is in use; name another one by --port, or by --serve PORT of docs")
        }
        _ => anyhow!("cannot listen on port {port}: {error}"),
    })?;
    let port = listener.local_addr()?.port();
    // Browsers try ::1 first for localhost; where there is no IPv6 they take 127.0.0.1.
    let listeners = [Some(listener), TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok()];
    let (site, stopped) = (Arc::new(site), Arc::new(AtomicBool::new(false)));
    let mut running =
        Running { addresses: Vec::new(), threads: Vec::new(), stopped: Arc::clone(&stopped), port };
    for listener in listeners.into_iter().flatten() {
        running.addresses.push(listener.local_addr()?);
        let (site, stopped) = (Arc::clone(&site), Arc::clone(&stopped));
        running.threads.push(thread::spawn(move || accept(&listener, &site, &stopped)));
    }
    Ok(running)
}

fn accept(listener: &TcpListener, site: &Arc<Site>, stopped: &Arc<AtomicBool>) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            // Too many open files, say: that passes when others close theirs.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let (site, stopped) = (Arc::clone(site), Arc::clone(stopped));
        // A browser may go away at any time, and that is not an error of ours.
        thread::spawn(move || {
            let _ = converse(&stream, &site, &stopped);
        });
    }
}

/// Answers the requests of one connection until either side ends it.
fn converse(stream: &TcpStream, site: &Site, stopped: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = BufWriter::with_capacity(64 * 1024, stream);
    loop {
        let request = match Request::read(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(Failure::Connection(error)) => return Err(error),
            Err(Failure::Request(reason)) => {
                Response::message(400, reason).write(&mut writer, false, false)?;
                return writer.flush();
            }
        };
        let goes_on = request.keeps_alive() && !stopped.load(Ordering::Relaxed);
        let mut response = files::answer(&site.mounts, &request)
            .unwrap_or_else(|error| Response::message(500, &error.to_string()));
        add_policies(&mut response, site, &request.target);
        response.write(&mut writer, request.method == "HEAD", goes_on)?;
        writer.flush()?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// Says who may use the answer, and how.
fn add_policies(response: &mut Response, site: &Site, path: &str) {
    response.header("Cache-Control", "no-cache");
    // A page of another origin may take the library and its Pyodide from here; there is nothing but public files.
    response.header("Access-Control-Allow-Origin", "*");
    response.header("Cross-Origin-Resource-Policy", "cross-origin");
    if site.isolated {
        response.header("Cross-Origin-Opener-Policy", "same-origin");
        response.header("Cross-Origin-Embedder-Policy", "require-corp");
    }
    for (_, policy) in site.policies.iter().filter(|(with_policy, _)| *with_policy == path) {
        response.header("Content-Security-Policy", policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::path::Path;

    /// Sends one request as it stands, and returns the answer.
    fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
        write!(stream, "{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn serve(isolated: bool) -> Running {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mounts = vec![("/sources/", folder.clone()), ("/", folder.join("setup"))];
        start(Site { mounts, isolated, policies: vec![("/node.rs", "default-src 'none'")] }, 0)
            .expect("a free port")
    }

    #[test]
    fn files_are_found_in_their_mounts() {
        let server = serve(true);
        let answer = ask(server.port, "GET /sources/main.rs?x=1 HTTP/1.1");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("cargo xtask"), "{answer}");
        for (request, status) in [
            ("GET /node%2Ers HTTP/1.1", 200),
            ("GET /nothing HTTP/1.1", 404),
            ("POST /node.rs HTTP/1.1", 405),
            ("GET /sources/setup HTTP/1.1", 301),
            ("GET", 400),
        ] {
            assert!(ask(server.port, request).starts_with(&format!("HTTP/1.1 {status}")), "{request}");
        }
    }

    #[test]
    fn nothing_outside_the_folders_is_served() {
        let server = serve(true);
        let paths = [
            "/../main.rs",
            "/%2e%2e/main.rs",
            "/sources/../../Cargo.toml",
            "//etc/passwd",
            "/..%5cmain.rs",
            "/%",
        ];
        for path in paths {
            let answer = ask(server.port, &format!("GET {path} HTTP/1.1"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        }
    }

    #[test]
    fn isolation_is_a_matter_of_headers() {
        for (isolated, server) in [(true, serve(true)), (false, serve(false))] {
            let answer = ask(server.port, "HEAD /node.rs HTTP/1.1");
            assert_eq!(answer.contains("Cross-Origin-Embedder-Policy: require-corp"), isolated, "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "a HEAD has no body: {answer}");
        }
    }

    #[test]
    fn a_policy_is_for_its_path_only() {
        let server = serve(false);
        for (path, has_policy) in [("/node.rs", true), ("/python.rs", false)] {
            let answer = ask(server.port, &format!("HEAD {path} HTTP/1.1"));
            assert_eq!(
                answer.contains("Content-Security-Policy: default-src 'none'"),
                has_policy,
                "{answer}"
            );
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        let server = serve(true);
        let answer = ask(server.port, "GET /node.rs HTTP/1.1");
        let tag = answer.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag");
        let answer = ask(server.port, &format!("GET /node.rs HTTP/1.1\r\nIf-None-Match: {tag}"));
        assert!(answer.starts_with("HTTP/1.1 304"), "{answer}");
    }

    #[test]
    fn connections_that_are_kept_open_keep_no_one_from_being_answered() {
        let server = serve(true);
        let mut kept: Vec<TcpStream> = (0..40)
            .map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("the server listens"))
            .collect();
        for _ in 0..3 {
            for stream in &mut kept {
                write!(stream, "HEAD /node.rs HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    .expect("the server reads");
            }
            for stream in &mut kept {
                stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
                let mut answer = [0; 12];
                stream.read_exact(&mut answer).expect("each connection is answered");
                assert_eq!(&answer, b"HTTP/1.1 200");
                // The rest of the head, up to the empty line.
                let mut rest = Vec::new();
                while !rest.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("the head ends");
                    rest.extend(byte);
                }
            }
        }
    }
}
