//! Answers a request by a file: finds it, says of what kind it is, and whether the browser has it already.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::http::{Request, Response};

/// Answers a request by a file of the folders that are mounted.
///
/// # Errors
/// If a file is there and cannot be read.
pub(super) fn answer(mounts: &[(&str, PathBuf)], request: &Request) -> io::Result<Response> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Ok(Response::message(405, "only GET and HEAD are served"));
    }
    let path = request.target.split(['?', '#']).next().unwrap_or_default();
    let Some(file) = find(mounts, path) else {
        return Ok(Response::message(404, &format!("there is no {path}")));
    };
    if file.is_dir() {
        // The relative links of the page in it need the slash.
        let mut response = Response::message(301, "see there");
        response.header("Location", &format!("{path}/"));
        return Ok(response);
    }
    let data = fs::metadata(&file)?;
    let age = data.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let tag = format!("\"{:x}-{age:x}\"", data.len());
    let mut response = if request.header("If-None-Match") == Some(tag.as_str()) {
        Response::new(304, 0, io::empty())
    } else {
        Response::new(200, data.len(), File::open(&file)?)
    };
    response.header("Content-Type", media_type(&file));
    response.header("ETag", &tag);
    Ok(response)
}

/// Finds the file, or folder, that a path of a request names.
fn find(mounts: &[(&str, PathBuf)], path: &str) -> Option<PathBuf> {
    let path = decode(path)?;
    for (prefix, folder) in mounts {
        let Some(rest) = path.strip_prefix(prefix) else { continue };
        let rest = Path::new(rest);
        // `..`, a root or a drive letter would lead out of the folder.
        if !rest.components().all(|component| matches!(component, Component::Normal(_))) {
            continue;
        }
        let file = folder.join(rest);
        let file = if path.ends_with('/') { file.join("index.html") } else { file };
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
