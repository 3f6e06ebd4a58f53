//! Looks for the programs of the system. On Debian, as root, missing programs are installed; elsewhere the error names each
//! missing program, the reason, and the remedy.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::need::Need;
use super::{browser, browser::Engine, node, python};
use crate::compiler::{self, Missing};
use crate::process;
use crate::steps::Outcome;
use crate::workspace::Workspace;

/// A program that is missing.
struct Lack {
    what: String,
    why: &'static str,
    debian: &'static [&'static str],
    elsewhere: String,
}

/// Looks for the programs that are needed, and installs those that are missing.
///
/// # Errors
/// If a program is missing and cannot be installed here.
pub(crate) fn ensure(workspace: &Workspace, needs: &[Need]) -> Result<Outcome> {
    let (optional, required): (Vec<Need>, Vec<Need>) = needs.iter().partition(|need| need.is_optional());
    let mut notes = Vec::new();
    let lacks = missing(&required);
    if !lacks.is_empty() {
        notes.push(install_all(workspace, &lacks, &required)?);
    }
    for need in optional {
        let lacks = missing(&[need]);
        if let Some(lack) = lacks.first() {
            notes.push(
                install_all(workspace, &lacks, &[need]).unwrap_or_else(|_| format!("no {}", lack.what)),
            );
        }
    }
    Ok(if notes.is_empty() { Outcome::Unchanged } else { Outcome::Note(notes.join("; ")) })
}

/// Installs what is missing and looks again; tells what was installed.
fn install_all(workspace: &Workspace, lacks: &[Lack], needs: &[Need]) -> Result<String> {
    let packages: Vec<&str> = lacks.iter().flat_map(|lack| lack.debian.iter().copied()).collect();
    if packages.is_empty() || !can_install() {
        bail!(explain(lacks));
    }
    install(workspace, &packages).with_context(|| explain(lacks))?;
    let lacks = missing(needs);
    if !lacks.is_empty() {
        bail!("Debian's packages did not bring all that is needed.\n\n{}", explain(&lacks));
    }
    Ok(format!("installed {}", packages.join(" ")))
}

fn missing(needs: &[Need]) -> Vec<Lack> {
    needs.iter().filter_map(|&need| lack_of(need)).collect()
}

fn lack_of(need: Need) -> Option<Lack> {
    match need {
        // They are fetched by the Python tools.
        Need::PyodideWheels => None,
        Need::PythonTools | Need::DocsTools => python::find().is_none().then(|| {
            let named = env::var_os(python::OVERRIDE);
            Lack {
                what: "Python 3.11 or later, with venv".into(),
                why: "maturin, pytest and the other tools run in a virtual environment",
                // No package makes a Python of the program that the user has named.
                debian: if named.is_some() { &[] } else { &["python3", "python3-venv"] },
                elsewhere: match named {
                    Some(named) => format!(
                        "{} names {}, which is no such Python: name another one, or unset the variable",
                        python::OVERRIDE,
                        named.to_string_lossy()
                    ),
                    None => format!(
                        "install Python from python.org or your system's packages, or name one by {}",
                        python::OVERRIDE
                    ),
                },
            }
        }),
        Need::Node | Need::NodePackages | Need::ReleasePackages => {
            (!node::is_there() || process::find_program("npm").is_none()).then(|| {
                let hidden = off_the_path(&["node", "npm"], &SYSTEM_FOLDERS.map(PathBuf::from));
                Lack {
                    what: "Node 20.16 or later (on Linux 18), with npm".into(),
                    why: "npm fetches Pyodide and PyScript; Node runs the tests inside Pyodide",
                    // No package puts a folder on the PATH.
                    debian: if hidden.is_some() { &[] } else { &["nodejs", "npm"] },
                    elsewhere: hidden
                        .unwrap_or_else(|| "install Node from nodejs.org or your system's packages".into()),
                }
            })
        }
        Need::Browser => browser::find().is_none().then(|| Lack {
            what: "Chromium".into(),
            why: "the demo and the browser tests drive it",
            debian: &["chromium", "fonts-dejavu-core", "openssl"],
            elsewhere: format!("install Chromium or Chrome, or name its program by {}", browser::OVERRIDE),
        }),
        Need::Firefox => Engine::Firefox.find().is_none().then(|| Lack {
            what: "Firefox".into(),
            why: "some of the browser tests run in it too",
            debian: &["firefox-esr"],
            elsewhere: format!("install Firefox, or name its program by {}", browser::FIREFOX),
        }),
        Need::WebKit => Engine::WebKit.find().is_none().then(|| Lack {
            what: "WebKitGTK with its driver, and Xvfb".into(),
            why: "some of the browser tests run in it too",
            debian: &["webkit2gtk-driver", "xvfb"],
            elsewhere: format!(
                "install WebKitGTK's WebKitWebDriver and MiniBrowser, or name them by {}, and Xvfb",
                browser::WEBKIT.join(" and ")
            ),
        }),
        Need::WasmCompiler => compiler::find().err().map(|missing| match missing {
            Missing::Rustc(refusals) => Lack {
                what: format!("a Rust compiler for {}", compiler::TARGET),
                why: "it builds the extension that runs in the browser",
                debian: &["rustc-web", "cargo-web", "rust-web-src", "lld-22"],
                elsewhere: format!(
                    "run `rustup target add {}`, or name a rustc by {}\n    looked at: {}",
                    compiler::TARGET,
                    compiler::OVERRIDE,
                    refusals.join("\n               ")
                ),
            },
            Missing::Linker(llvm) => Lack {
                what: format!("wasm-ld or rust-lld of LLVM {llvm} or later"),
                why: "it links the extension that runs in the browser",
                debian: &["lld-22"],
                elsewhere: format!("install LLVM's lld {llvm}, or any Rust by rustup (it brings rust-lld)"),
            },
        }),
        Need::RustLints => lints_missing().then(|| Lack {
            what: "rustfmt and clippy".into(),
            why: "the tests check the format and the lints of the Rust code",
            debian: &[],
            elsewhere: "run `rustup component add rustfmt clippy`".into(),
        }),
        Need::CxxCompiler => {
            let compilers = ["c++", "g++", "clang++"];
            let found = env::var_os("CXX").is_some() || compilers.into_iter().any(has_program);
            (!found).then(|| Lack {
                what: "a C++ compiler".into(),
                why: "it builds libFuzzer, which runs the fuzz targets",
                debian: &["g++"],
                elsewhere: "install clang or GCC, or name a compiler by CXX".into(),
            })
        }
        Need::Valgrind => (!has_program("valgrind")).then(|| Lack {
            what: "valgrind".into(),
            why: "it watches what the native tests do to memory",
            // CPython's and the C library's symbols make its reports readable.
            debian: &["valgrind", "libc6-dbg"],
            elsewhere:
                "install valgrind from your system's packages; it exists for Linux, FreeBSD and Solaris"
                    .into(),
        }),
    }
}

/// The folders in which systems and their package managers put programs.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin"];

/// Returns the remedy for a program that is installed in one of these folders, which is not on the PATH.
fn off_the_path(names: &[&str], folders: &[PathBuf]) -> Option<String> {
    let name = names.iter().find(|name| !has_program(name))?;
    let program = process::find_program_in(name, folders.iter().cloned())?;
    let folder = program.parent()?.display();
    Some(format!("{} exists, but its folder is not on the PATH: add {folder} to PATH", program.display()))
}

fn has_program(name: &str) -> bool {
    process::find_program(name).is_some()
}

fn lints_missing() -> bool {
    ["fmt", "clippy"]
        .into_iter()
        .any(|name| process::ask(process::cargo().args([name, "--version"])).is_none())
}

/// Tells whether this is Debian and this program may install its packages; relatives of Debian name them differently.
fn can_install() -> bool {
    let is_debian = |system: String| system.lines().any(|line| line.trim() == "ID=debian");
    fs::read_to_string("/etc/os-release").is_ok_and(is_debian)
        && process::ask(Command::new("id").arg("-u")).as_deref() == Some("0")
}

fn install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let install = || {
        let mut apt = apt();
        apt.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        apt
    };
    if !process::capture(workspace, "apt-install", &mut install())?.succeeded {
        // The lists of a fresh system are empty, those of an old one name packages that are gone.
        process::run(workspace, "apt-update", apt().arg("update"))?;
        process::run(workspace, "apt-install", &mut install())?;
    }
    Ok(())
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    // A fresh system installs its own updates meanwhile, and a mirror may fail once.
    apt.args(["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn explain(lacks: &[Lack]) -> String {
    let mut text = String::from("this is missing, and was not installed:\n");
    for lack in lacks {
        let _ = write!(text, "\n- {}\n    why: {}\n", lack.what, lack.why);
        if !lack.debian.is_empty() {
            let _ = writeln!(text, "    on Debian, as root: apt-get install {}", lack.debian.join(" "));
        }
        let _ = writeln!(text, "    elsewhere: {}", lack.elsewhere);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PATH without the folder of Node: the remedy is to add the folder, since no package changes the PATH.
    #[cfg(unix)]
    #[test]
    fn a_program_off_the_path_is_not_installed_again() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = env::temp_dir().join(format!("xtask path {}", std::process::id()));
        fs::create_dir_all(&folder).expect("it can be made");
        let (name, folders) = ("a-program-of-this-test", [folder.clone()]);
        assert_eq!(off_the_path(&[name], &folders), None);
        let program = folder.join(name);
        fs::write(&program, "").expect("the folder is ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        let told = off_the_path(&["sh", name], &folders).expect("it is there");
        assert!(told.ends_with(&format!("add {} to PATH", folder.display())), "{told}");
        // A program on the PATH is not hidden.
        assert_eq!(off_the_path(&["sh"], &["/bin".into()]), None);
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
