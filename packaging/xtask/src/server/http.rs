//! The part of HTTP/1.1 that a browser needs to fetch files: requests without a body, answers of a known length.

use std::io::{self, BufRead, Cursor, Read, Write};

/// The most bytes that the head of a request may have.
const LONGEST_HEAD: u64 = 16 * 1024;

/// Why there is no request.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection broke, or was idle for too long.
    Connection(io::Error),
    /// The other side does not speak HTTP/1.
    Request(&'static str),
}

/// The head of a request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path and query, as they were sent.
    pub(super) target: String,
    is_old: bool,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads the next request; `None` if the other side ended the connection.
    pub(super) fn read(stream: &mut impl BufRead) -> Result<Option<Self>, Failure> {
        let mut lines = Vec::new();
        let mut head = stream.take(LONGEST_HEAD);
        loop {
            let mut line = Vec::new();
            head.read_until(b'\n', &mut line).map_err(Failure::Connection)?;
            if line.is_empty() && lines.is_empty() && head.limit() > 0 {
                return Ok(None);
            }
            if !line.ends_with(b"\n") {
                return Err(Failure::Request("the head of the request is not whole, or too long"));
            }
            let line = String::from_utf8(line)
                .map_err(|_| Failure::Request("the head of the request is not text"))?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        parse(&lines).map(Some).ok_or(Failure::Request("this is not a request of HTTP/1"))
    }

    /// Returns the value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Tells whether the connection goes on after the answer.
    pub(super) fn keeps_alive(&self) -> bool {
        let asks_to_close =
            self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        // A body is never read, so what follows it could not be told from it.
        let has_body = self.header("Transfer-Encoding").is_some()
            || self.header("Content-Length").is_some_and(|n| n != "0");
        !(self.is_old || asks_to_close || has_body)
    }
}

fn parse(lines: &[String]) -> Option<Request> {
    let (first, rest) = lines.split_first()?;
    let mut words = first.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') || words.next().is_some() {
        return None;
    }
    let headers = rest
        .iter()
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
    Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        is_old: version == "HTTP/1.0",
        headers: headers.collect::<Option<_>>()?,
    })
}

/// An answer.
pub(super) struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    length: u64,
    body: Box<dyn Read>,
}

impl Response {
    /// Answers with a body of a known length.
    pub(super) fn new(status: u16, length: u64, body: impl Read + 'static) -> Self {
        Self { status, headers: Vec::new(), length, body: Box::new(body) }
    }

    /// Answers with a line of text.
    pub(super) fn message(status: u16, text: &str) -> Self {
        let text = format!("{text}\n").into_bytes();
        let mut response = Self::new(status, text.len() as u64, Cursor::new(text));
        response.header("Content-Type", "text/plain; charset=utf-8");
        response
    }

    /// Adds a header; a line break in it, with which a path could add headers of its own, is left out.
    pub(super) fn header(&mut self, name: &'static str, value: &str) {
        self.headers.push((name, value.replace(['\r', '\n'], "")));
    }

    /// Writes the answer, without its body if only the head was asked for.
    pub(super) fn write(self, stream: &mut impl Write, head_only: bool, keeps_alive: bool) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            301 => "Moved Permanently",
            304 => "Not Modified",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Internal Server Error",
        };
        write!(stream, "HTTP/1.1 {} {reason}\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        if self.status != 304 {
            write!(stream, "Content-Length: {}\r\n", self.length)?;
        }
        write!(stream, "Connection: {}\r\n\r\n", if keeps_alive { "keep-alive" } else { "close" })?;
        if head_only || self.status == 304 {
            return Ok(());
        }
        // A file that shrank while it was sent would leave the other side waiting for the rest.
        if io::copy(&mut self.body.take(self.length), stream)? < self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Request>, Failure> {
        Request::read(&mut Cursor::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_request_is_read() {
        let request = read("GET /a?b HTTP/1.1\r\nhost: x\r\nIf-None-Match: \"t\"\r\n\r\nrest")
            .expect("good")
            .expect("there");
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a?b"));
        assert_eq!(request.header("if-none-match"), Some("\"t\""));
        assert!(request.keeps_alive());
    }

    #[test]
    fn a_connection_that_ends_between_requests_is_no_error() {
        assert!(read("").expect("good").is_none());
    }

    #[test]
    fn text_that_is_no_request_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
        for text in [
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nx\r\n\r\n",
            "GET / HTTP/1.1\r\n",
            "GET x HTTP/1.1\r\n\r\n",
            long.as_str(),
        ] {
            assert!(matches!(read(text), Err(Failure::Request(_))), "{text:.20}");
        }
    }

    #[test]
    fn a_connection_ends_when_asked_or_when_a_body_follows() {
        for header in ["Connection: close", "Content-Length: 3", "Transfer-Encoding: chunked"] {
            let request =
                read(&format!("POST / HTTP/1.1\r\n{header}\r\n\r\n")).expect("good").expect("there");
            assert!(!request.keeps_alive(), "{header}");
        }
    }
}
