//! Finds the browsers that the demo, the browser tests and the benchmark drive: one of each engine.

use std::env;
use std::path::PathBuf;

use super::need::Need;
use crate::process::find_program;

/// The variable that names the Chromium.
pub(crate) const OVERRIDE: &str = "CHROMIUM";
/// The variable that names the Firefox.
pub(crate) const FIREFOX: &str = "FIREFOX";
/// The variables that name WebKit's driver and the browser that it starts.
pub(crate) const WEBKIT: [&str; 2] = ["WEBKIT_DRIVER", "WEBKIT_BROWSER"];

/// An engine that pages are tested and measured in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
    #[value(name = "webkit")]
    WebKit,
}

impl Engine {
    /// The engine's name in the tests (WORKERLIB_ENGINE in `tests/browser`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::WebKit => "webkit",
        }
    }

    /// The need to state before the engine can be driven.
    pub(crate) fn need(self) -> Need {
        match self {
            Self::Chromium => Need::Browser,
            Self::Firefox => Need::Firefox,
            Self::WebKit => Need::WebKit,
        }
    }

    /// Tells which programs it has now: the path, the size and the time of each.
    pub(crate) fn installation(self) -> String {
        let told = |(_, path): (&str, PathBuf)| {
            let about = path.metadata().map(|about| (about.len(), about.modified().ok()));
            format!("{} {about:?}", path.display())
        };
        self.find().unwrap_or_default().into_iter().map(told).collect::<Vec<_>>().join(", ")
    }

    /// Finds its programs: the variables that name them to those who drive it. `None` if one is missing.
    pub(crate) fn find(self) -> Option<Vec<(&'static str, PathBuf)>> {
        let programs = match self {
            Self::Chromium => vec![(OVERRIDE, find()?)],
            Self::Firefox => vec![(FIREFOX, find_firefox()?)],
            Self::WebKit => {
                // Neither has a mode without a screen, so they get one that nobody looks at.
                find_program("Xvfb")?;
                let [driver, browser] = WEBKIT;
                vec![
                    (driver, named(driver).or_else(|| find_program("WebKitWebDriver"))?),
                    (browser, named(browser).or_else(find_mini_browser)?),
                ]
            }
        };
        Some(programs)
    }
}

fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}

fn find_firefox() -> Option<PathBuf> {
    let application = PathBuf::from("/Applications/Firefox.app/Contents/MacOS/firefox");
    named(FIREFOX)
        .or_else(|| ["firefox-esr", "firefox"].into_iter().find_map(find_program))
        .or_else(|| Some(application).filter(|path| path.is_file()))
}

/// Finds WebKitGTK's own small browser, which its packages do not put on the PATH.
fn find_mini_browser() -> Option<PathBuf> {
    let libraries = ["/usr/lib", "/usr/lib64", "/usr/libexec"].into_iter().map(PathBuf::from);
    let machine = PathBuf::from(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH));
    libraries
        .chain([machine])
        .flat_map(|folder| {
            ["4.1", "4.0", "6.0"].map(|api| folder.join(format!("webkit2gtk-{api}/MiniBrowser")))
        })
        .find(|path| path.is_file())
}

/// Finds a Chromium, or a Chrome.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os(OVERRIDE) {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let applications = [
        "/usr/bin/chromium",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];
    names
        .into_iter()
        .find_map(find_program)
        .or_else(|| applications.into_iter().map(PathBuf::from).find(|path| path.is_file()))
}
