//! Serves folders over HTTP on this machine only, with the headers that a page needs to be isolated (or without them).
//!
//! It serves files and nothing else: no upload, no listing, no path outside its folders.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow};
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

/// Threads that answer; a browser opens six connections to one host.
const THREADS: usize = 8;

/// What is served.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Folders and the paths under which they appear; the first that has a file wins.
    pub(crate) mounts: Vec<(&'static str, PathBuf)>,
    /// Whether the pages are cross-origin isolated, and so have SharedArrayBuffer.
    pub(crate) isolated: bool,
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    servers: Vec<Arc<Server>>,
    threads: Vec<JoinHandle<()>>,
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
        for server in &self.servers {
            // Each call releases one thread.
            (0..THREADS).for_each(|_| server.unblock());
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
        io::ErrorKind::AddrInUse => anyhow!("port {port} is in use; name another one by --port"),
        _ => anyhow!("cannot listen on port {port}: {error}"),
    })?;
    let port = listener.local_addr()?.port();
    // Browsers try ::1 first for localhost; without it they fall back to 127.0.0.1.
    let listeners = [Some(listener), TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok()];
    let site = Arc::new(site);
    let mut running = Running { servers: Vec::new(), threads: Vec::new(), port };
    for listener in listeners.into_iter().flatten() {
        let server =
            Server::from_listener(listener, None).map_err(|error| anyhow!("cannot serve: {error}"))?;
        let server = Arc::new(server);
        for _ in 0..THREADS {
            let (server, site) = (Arc::clone(&server), Arc::clone(&site));
            running.threads.push(thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    answer(&site, request);
                }
            }));
        }
        running.servers.push(server);
    }
    Ok(running)
}

fn answer(site: &Site, request: Request) {
    let mut response = respond(site, &request).unwrap_or_else(|error| message(500, &format!("{error:#}")));
    response.add_header(header("Cache-Control", "no-cache"));
    if site.isolated {
        response.add_header(header("Cross-Origin-Opener-Policy", "same-origin"));
        response.add_header(header("Cross-Origin-Embedder-Policy", "require-corp"));
        response.add_header(header("Cross-Origin-Resource-Policy", "cross-origin"));
    }
    // The browser may have gone meanwhile: that is its right.
    let _ = request.respond(response);
}

type Answer = Response<Box<dyn Read + Send>>;

fn respond(site: &Site, request: &Request) -> Result<Answer> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Ok(message(405, "only GET and HEAD are served"));
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    let Some(file) = find(site, path) else {
        return Ok(message(404, &format!("there is no {path}")));
    };
    if file.is_dir() {
        // A page's own relative links need the slash.
        return Ok(message(301, "see there").with_header(header("Location", &format!("{path}/"))));
    }
    let data = fs::metadata(&file)?;
    let age = data.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let tag = format!("\"{:x}-{age:x}\"", data.len());
    let known = request
        .headers()
        .iter()
        .any(|header| header.field.equiv("If-None-Match") && header.value.as_str() == tag);
    let (status, length, body): (u16, usize, Box<dyn Read + Send>) = if known {
        (304, 0, Box::new(io::empty()))
    } else {
        let content = File::open(&file).with_context(|| format!("cannot read {path}"))?;
        (200, usize::try_from(data.len())?, Box::new(content))
    };
    let headers = vec![header("Content-Type", media_type(&file)), header("ETag", &tag)];
    // A length tells the page how far a download is; tiny_http would else send larger files in chunks.
    Ok(Response::new(StatusCode(status), headers, body, Some(length), None)
        .with_chunked_threshold(usize::MAX))
}

/// Finds the file that a path of a request names.
fn find(site: &Site, path: &str) -> Option<PathBuf> {
    let path = decode(path)?;
    let wants_index = path.ends_with('/');
    for (prefix, folder) in &site.mounts {
        let Some(rest) = path.strip_prefix(prefix) else { continue };
        let rest = Path::new(rest);
        // `..`, a root or a drive letter would lead out of the folder.
        if !rest.components().all(|component| matches!(component, Component::Normal(_))) {
            continue;
        }
        let file = folder.join(rest);
        let file = if wants_index { file.join("index.html") } else { file };
        if file.exists() {
            return Some(file);
        }
    }
    None
}

/// Decodes the `%20`s of a path; `None` if that does not give text.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().filter(|path| !path.contains(['\0', '\\']))
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "py" => "text/x-python; charset=utf-8",
        "toml" => "application/toml",
        "csv" => "text/csv; charset=utf-8",
        "txt" | "md" | "metadata" | "ts" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/vnd.microsoft.icon",
        "zip" | "whl" => "application/zip",
        _ => "application/octet-stream",
    }
}

fn message(status: u16, text: &str) -> Answer {
    let body = format!("{text}\n").into_bytes();
    let headers = vec![header("Content-Type", "text/plain; charset=utf-8")];
    let length = body.len();
    Response::new(StatusCode(status), headers, Box::new(Cursor::new(body)), Some(length), None)
}

/// Makes a header; a value that HTTP does not allow (no value of ours) is sent empty.
fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value)
        .unwrap_or_else(|()| Header::from_bytes("X-Refused", "").expect("ASCII is allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::TcpStream;

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
        start(Site { mounts, isolated }, 0).expect("a free port")
    }

    #[test]
    fn files_are_found_in_their_mounts() {
        let server = serve(true);
        let answer = ask(server.port, "GET /sources/main.rs?x=1 HTTP/1.1");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("cargo xtask"), "{answer}");
        assert!(ask(server.port, "GET /node%2Ers HTTP/1.1").starts_with("HTTP/1.1 200"));
        assert!(ask(server.port, "GET /nothing HTTP/1.1").starts_with("HTTP/1.1 404"));
        assert!(ask(server.port, "POST /node.rs HTTP/1.1").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn nothing_outside_the_folders_is_served() {
        let server = serve(true);
        for path in [
            "/../main.rs",
            "/%2e%2e/main.rs",
            "/sources/../../Cargo.toml",
            "//etc/passwd",
            "/..%5cmain.rs",
            "/%",
        ] {
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
    fn a_known_file_is_not_sent_again() {
        let server = serve(true);
        let answer = ask(server.port, "GET /node.rs HTTP/1.1");
        let tag = answer.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag");
        let answer = ask(server.port, &format!("GET /node.rs HTTP/1.1\r\nIf-None-Match: {tag}"));
        assert!(answer.starts_with("HTTP/1.1 304"), "{answer}");
    }
}
