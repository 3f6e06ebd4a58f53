//! The project's address and its name on PyPI: one place that says them, and the files of a release that repeat them.
//!
//! Both stand in `[workspace.metadata.project]` of Cargo.toml. In the checkout the distribution is `workerlib` and no file has an
//! address; a release writes both into its copy of the sources.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;

/// The name of the package and, in the checkout, of its distribution.
const PACKAGE: &str = "workerlib";

const TABLE: &str = "[workspace.metadata.project]\n";

/// The project's address and name on PyPI, as Cargo.toml has them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Project {
    /// The address of the repository, without a slash at its end; none as long as it is not known.
    pub(super) repository: Option<String>,
    /// The name on PyPI.
    pub(super) distribution: String,
}

impl Project {
    /// Reads Cargo.toml.
    ///
    /// # Errors
    /// If it says nothing of the project, or something that is not an address or not a name.
    pub(super) fn of(workspace: &Workspace) -> Result<Self> {
        let text = read(workspace, "Cargo.toml")?;
        let table = text.split_once(TABLE).with_context(|| format!("Cargo.toml has no {}", TABLE.trim()))?.1;
        let table = table.split("\n[").next().unwrap_or_default();
        let value = |name: &str| {
            let line = table.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
            let value = line.and_then(|value| value.trim().strip_prefix('"')?.strip_suffix('"'));
            value.map(str::to_owned).with_context(|| format!("{} has no {name}", TABLE.trim()))
        };
        let (repository, distribution) = (value("repository")?, value("distribution")?);
        if !repository.is_empty() && (!repository.starts_with("https://") || repository.ends_with('/')) {
            bail!(
                "repository = {repository:?} in Cargo.toml is not an address such as https://example.org/workerlib"
            );
        }
        let is_end = |one: Option<char>| one.is_some_and(|one| one.is_ascii_alphanumeric());
        let is_part = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
        let mut ends = [distribution.chars().next(), distribution.chars().next_back()].into_iter();
        if !ends.all(is_end) || !distribution.chars().all(is_part) {
            bail!(
                "distribution = {distribution:?} in Cargo.toml is not a name that PyPI takes: write letters and digits of \
                 ASCII, with `-`, `_` or `.` between them"
            );
        }
        Ok(Self { repository: Some(repository).filter(|address| !address.is_empty()), distribution })
    }

    /// Writes the address into the manifests of a copy of the sources, and into the documentation site's configuration.
    ///
    /// # Errors
    /// If a file cannot be changed.
    pub(super) fn write_address(&self, copy: &Workspace) -> Result<()> {
        let Some(address) = &self.repository else { return Ok(()) };
        let urls = [
            ("Homepage", String::new()),
            ("Documentation", "/tree/main/docs".to_owned()),
            ("Changelog", "/blob/main/CHANGELOG.md".to_owned()),
            ("Issues", "/issues".to_owned()),
            ("Repository", String::new()),
        ];
        let lines: String = urls.iter().map(|(name, end)| format!("{name} = \"{address}{end}\"\n")).collect();
        insert(
            copy,
            "workerlib-py/pyproject.toml",
            "[tool.maturin]\n",
            &format!("[project.urls]\n{lines}\n[tool.maturin]\n"),
        )?;
        for crate_name in ["workerlib-core", "workerlib-codec"] {
            let line = "license.workspace = true\n";
            insert(
                copy,
                &format!("{crate_name}/Cargo.toml"),
                line,
                &format!("{line}repository = \"{address}\"\n"),
            )?;
        }
        let line = "  \"license\": \"MIT OR Apache-2.0\",\n";
        let more = format!(
            "{line}  \"homepage\": \"{address}#readme\",\n  \"repository\": {{ \"type\": \"git\", \"url\": \
             \"git+{address}.git\", \"directory\": \"workerlib-py/javascript\" }},\n  \"bugs\": \"{address}/issues\",\n"
        );
        insert(copy, "workerlib-py/javascript/package.json", line, &more)?;
        let line = "docs_dir: ../../docs\n";
        insert(copy, "packaging/docs/mkdocs.yml", line, &format!("repo_url: {address}\n{line}"))?;
        let sentence = "The documentation is in the folder `docs` of the source tree.";
        let link = format!("The documentation is in the folder [docs]({address}/tree/main/docs).");
        insert(copy, "workerlib-py/README.md", sentence, &link)?;
        let link = format!("[docs/javascript.md]({address}/blob/main/docs/javascript.md) has");
        insert(
            copy,
            "workerlib-py/javascript/README.md",
            "`docs/javascript.md` in the source tree has",
            &link,
        )
    }

    /// Whether PyPI gets another name than that of the package.
    pub(super) fn has_other_name(&self) -> bool {
        self.distribution != PACKAGE
    }

    /// Writes the name on PyPI into the manifest of a copy of the sources, for the source archive.
    ///
    /// # Errors
    /// If the manifest cannot be changed.
    pub(super) fn write_name(&self, copy: &Workspace) -> Result<()> {
        let line = |name: &str| format!("[project]\nname = \"{name}\"\n");
        insert(copy, "workerlib-py/pyproject.toml", &line(PACKAGE), &line(&self.distribution))
    }
}

/// Replaces a text that a file has once.
fn insert(copy: &Workspace, file: &str, old: &str, new: &str) -> Result<()> {
    let text = read(copy, file)?;
    if text.matches(old).count() != 1 {
        bail!("{file} should have the text {old:?} once");
    }
    let path = copy.root().join(file);
    fs::write(&path, text.replacen(old, new, 1)).with_context(|| format!("cannot write {}", path.display()))
}

fn read(workspace: &Workspace, file: &str) -> Result<String> {
    fs::read_to_string(workspace.root().join(file)).with_context(|| format!("cannot read {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder;

    const FILES: [&str; 8] = [
        "Cargo.toml",
        "workerlib-py/pyproject.toml",
        "workerlib-core/Cargo.toml",
        "workerlib-codec/Cargo.toml",
        "workerlib-py/javascript/package.json",
        "packaging/docs/mkdocs.yml",
        "workerlib-py/README.md",
        "workerlib-py/javascript/README.md",
    ];

    /// A copy of the files that a release changes, with what Cargo.toml is to say of the project.
    fn copy(name: &str, says: &str) -> Workspace {
        let place = std::env::temp_dir().join(format!("xtask {name} {}", std::process::id()));
        let ours = Workspace::of_this_program();
        for file in FILES {
            folder::copy_file(&ours.root().join(file), &place.join(file)).expect("the file is there");
        }
        let text = fs::read_to_string(place.join("Cargo.toml")).expect("it was copied");
        let (before, table) = text.split_once(TABLE).expect("the table is there");
        let rest = table.find("\n[").map_or("", |at| &table[at..]);
        fs::write(place.join("Cargo.toml"), format!("{before}{TABLE}{says}{rest}"))
            .expect("the folder is ours");
        Workspace::at(place)
    }

    /// The owner fills in the address once, and each registry and the site get it in their own form.
    #[test]
    fn the_address_reaches_each_manifest() {
        let says = "repository = \"https://example.org/a/workerlib\"\ndistribution = \"workerlib\"\n";
        let copy = copy("address", says);
        let project = Project::of(&copy).expect("it is there");
        project.write_address(&copy).expect("the folder is ours");
        for file in &FILES[1..] {
            assert!(
                read(&copy, file).expect("it is there").contains("https://example.org/a/workerlib"),
                "{file}"
            );
        }
        let package = read(&copy, "workerlib-py/javascript/package.json").expect("it is there");
        let package: serde_json::Value = serde_json::from_str(&package).expect("it is still JSON");
        assert_eq!(package["repository"]["url"], "git+https://example.org/a/workerlib.git");
        assert!(!project.has_other_name());
        fs::remove_dir_all(copy.root()).expect("the folder is ours");
    }

    /// PyPI's name is another, and nothing else changes; without an address nothing does.
    #[test]
    fn the_name_is_that_of_the_distribution_alone() {
        let copy = copy("name", "repository = \"\"\ndistribution = \"pyodide-workerlib\"\n");
        let project = Project::of(&copy).expect("it is there");
        project.write_address(&copy).expect("there is none");
        project.write_name(&copy).expect("the folder is ours");
        assert!(project.has_other_name());
        let manifest = read(&copy, "workerlib-py/pyproject.toml").expect("it is there");
        assert!(manifest.contains("name = \"pyodide-workerlib\"\n") && !manifest.contains("[project.urls]"));
        assert!(manifest.contains("module-name = \"workerlib._native\""));
        fs::remove_dir_all(copy.root()).expect("the folder is ours");
    }

    /// A slip in Cargo.toml is found before anything is built.
    #[test]
    fn what_is_no_address_and_no_name_is_refused() {
        for says in [
            "repository = \"example.org\"\ndistribution = \"workerlib\"\n",
            "repository = \"https://example.org/\"\ndistribution = \"workerlib\"\n",
            "repository = \"\"\ndistribution = \"two words\"\n",
            "repository = \"\"\ndistribution = \"-workerlib\"\n",
            "repository = \"\"\ndistribution = \"\"\n",
            "repository = \"\"\n",
        ] {
            let copy = copy("slip", says);
            assert!(Project::of(&copy).is_err(), "{says}");
            fs::remove_dir_all(copy.root()).expect("the folder is ours");
        }
        Project::of(&Workspace::of_this_program()).expect("the checkout's own is right");
    }
}
