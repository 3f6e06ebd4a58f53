//! Makes the relocations of a side module small: a table that a loop reads, in place of the code that `wasm-ld` writes for each.
//!
//! A pointer in the data of a side module is known only when the module is loaded. `wasm-ld` exports a function that stores them
//! one after the other, which takes fifteen bytes each: for vtables, for the place of each panic, for the tables of pyo3. The loop
//! takes one byte each. A pointer's content in a module that lies at 0 stands in the data already.
//!
//! Invariant: the function may run more than once, as `wasm-ld`'s may: beside the table stands what was added already.

use anyhow::{Context, Result, bail, ensure};

/// The function that stores the pointers, by the dynamic linker's name for it.
const FUNCTION: &[u8] = b"__wasm_apply_data_relocs";

/// The sections that are read, by their numbers.
mod section {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const IMPORT: u8 = 2;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const CODE: u8 = 10;
    pub(super) const DATA: u8 = 11;
}

/// WebAssembly's instructions that `wasm-ld` writes, and those of the loop.
mod code {
    pub(super) const LOOP: u8 = 0x03;
    pub(super) const END: u8 = 0x0b;
    pub(super) const BR_IF: u8 = 0x0d;
    pub(super) const LOCAL_GET: u8 = 0x20;
    pub(super) const LOCAL_SET: u8 = 0x21;
    pub(super) const LOCAL_TEE: u8 = 0x22;
    pub(super) const GLOBAL_GET: u8 = 0x23;
    pub(super) const LOAD: u8 = 0x28;
    pub(super) const LOAD_BYTE: u8 = 0x2d;
    pub(super) const STORE: u8 = 0x36;
    pub(super) const CONST: u8 = 0x41;
    pub(super) const NOT_EQUAL: u8 = 0x47;
    pub(super) const ADD: u8 = 0x6a;
    pub(super) const SUBTRACT: u8 = 0x6b;
    pub(super) const MULTIPLY: u8 = 0x6c;
    pub(super) const AND: u8 = 0x71;
    pub(super) const SHIFT_RIGHT: u8 = 0x76;
    pub(super) const NO_RESULT: u8 = 0x40;
    pub(super) const I32: u8 = 0x7f;
    /// The alignment of a word and no offset, as a load and a store have them.
    pub(super) const WORD: [u8; 2] = [2, 0];
    pub(super) const BYTE: [u8; 2] = [0, 0];
}

/// The bits of a byte of the table: what is added to the word, and how many bytes lie between it and the one before. Neither of
/// the first two is set where the next word is farther away than a byte tells.
const IN_MEMORY: u8 = 1;
const IN_TABLE: u8 = 2;
const DISTANCE: u8 = !(IN_MEMORY | IN_TABLE);

/// A pointer in the data: where, into what, and its content in a module that lies at 0.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Pointer {
    position: u32,
    kind: u8,
    content: i32,
}

/// Rewrites a side module as `wasm-ld` wrote it; a module without such pointers stays as it is.
///
/// # Errors
/// If the module has another form than `wasm-ld` gives it.
pub(crate) fn compact(module: &[u8]) -> Result<Vec<u8>> {
    let sections = sections(module)?;
    let content = |number| sections.iter().find(|(id, _)| *id == number).map(|(_, content)| *content);
    let (Some(imports), Some(exports)) = (content(section::IMPORT), content(section::EXPORT)) else {
        return Ok(module.to_vec());
    };
    let Some(function) = exported(exports)? else { return Ok(module.to_vec()) };
    let imports = Imports::read(imports)?;
    let bodies = vector(content(section::CODE).context("a module without code")?)?;
    let place = function.checked_sub(imports.functions).context("an imported function is exported")? as usize;
    let (pointers, rest) = pointers(bodies.get(place).context("no such function")?, &imports)?;
    if pointers.is_empty() {
        return Ok(module.to_vec());
    }
    let memory = Memory::read(&sections)?;
    let (data, start) = with_table(&memory, &pointers)?;
    let body = body(&imports, start, data.len(), &rest);
    let mut out = module.get(..8).context("no module")?.to_vec();
    for (id, content) in &sections {
        match *id {
            section::CUSTOM if content.starts_with(DYLINK) => put(&mut out, *id, &memory.dylink(data.len())),
            section::CODE => {
                let mut all = unsigned(bodies.len());
                for (number, old) in bodies.iter().enumerate() {
                    let new = if number == place { &body[..] } else { old };
                    all.extend(unsigned(new.len()));
                    all.extend_from_slice(new);
                }
                put(&mut out, *id, &all);
            }
            section::DATA => put(&mut out, *id, &memory.segment(&data)),
            _ => put(&mut out, *id, content),
        }
    }
    Ok(out)
}

/// Reads the function's body: the pointers that it stores, and the code of what is stored in another way.
fn pointers(body: &[u8], imports: &Imports) -> Result<(Vec<Pointer>, Vec<u8>)> {
    let (mut reader, mut pointers, mut rest) = (Reader(body), Vec::new(), Vec::new());
    ensure!(reader.unsigned()? == 0, "the function of the relocations has locals");
    while reader.0 != [code::END] {
        let before = reader.0;
        reader.expect(code::CONST)?;
        let position = u32::try_from(reader.signed()?).context("a pointer before the data")?;
        reader.expect(code::GLOBAL_GET)?;
        ensure!(reader.unsigned()? == imports.memory_base, "a pointer outside of the data");
        reader.expect(code::ADD)?;
        reader.expect(code::GLOBAL_GET)?;
        let base = reader.unsigned()?;
        let mut content = 0;
        if reader.0.first() == Some(&code::CONST) {
            reader.expect(code::CONST)?;
            content = reader.signed()?;
            reader.expect(code::ADD)?;
        }
        for byte in [code::STORE, code::WORD[0], code::WORD[1]] {
            reader.expect(byte)?;
        }
        let kind = match base {
            base if base == imports.memory_base => IN_MEMORY,
            base if base == imports.table_base => IN_TABLE,
            // The address of something of another module.
            _ => 0,
        };
        if kind == 0 || position % 4 != 0 {
            rest.extend_from_slice(&before[..before.len() - reader.0.len()]);
        } else {
            pointers.push(Pointer { position, kind, content });
        }
    }
    pointers.sort_unstable();
    ensure!(pointers.is_sorted_by(|one, other| one.position < other.position), "a pointer is stored twice");
    Ok((pointers, rest))
}

/// Makes the data with the table behind it; returns it with the position of the table: two words with what was added already, to
/// pointers into the memory and into the table of functions, and a byte for each pointer.
fn with_table(memory: &Memory<'_>, pointers: &[Pointer]) -> Result<(Vec<u8>, usize)> {
    let mut data = memory.data.to_vec();
    let start = memory.size.next_multiple_of(4);
    data.resize(start + 8, 0);
    let mut position = 0;
    for pointer in pointers {
        let at = pointer.position as usize;
        let word = memory.data.get(at..at + 4).context("a pointer beyond the data")?;
        ensure!(word == pointer.content.to_le_bytes(), "the data lacks the content of a pointer");
        while pointer.position - position > u32::from(DISTANCE) {
            data.push(DISTANCE);
            position += u32::from(DISTANCE);
        }
        data.push((pointer.position - position) as u8 | pointer.kind);
        position = pointer.position;
    }
    Ok((data, start))
}

/// Writes the function: the loop over the table between `start` and `end`, and the rest of what the function did.
fn body(imports: &Imports, start: usize, end: usize, rest: &[u8]) -> Vec<u8> {
    use code::*;
    // The place in the table, its end, the address of the pointer, the byte of the table, and what is added.
    const AT: u8 = 0;
    const LAST: u8 = 1;
    const WORD_AT: u8 = 2;
    const STEP: u8 = 3;
    const TO_MEMORY: u8 = 4;
    const TO_TABLE: u8 = 5;
    let mut out = vec![1, 6, I32];
    let base = |out: &mut Vec<u8>, base: u32| {
        out.push(GLOBAL_GET);
        out.extend(unsigned(base as usize));
    };
    let number = |out: &mut Vec<u8>, number: usize| {
        out.push(CONST);
        out.extend(signed(number as i64));
    };
    let address = |out: &mut Vec<u8>, position: usize| {
        base(out, imports.memory_base);
        number(out, position);
        out.push(ADD);
    };
    for (local, global, applied) in
        [(TO_MEMORY, imports.memory_base, start), (TO_TABLE, imports.table_base, start + 4)]
    {
        base(&mut out, global);
        address(&mut out, applied);
        out.extend([LOAD, WORD[0], WORD[1], SUBTRACT, LOCAL_SET, local]);
        address(&mut out, applied);
        base(&mut out, global);
        out.extend([STORE, WORD[0], WORD[1]]);
    }
    base(&mut out, imports.memory_base);
    out.extend([LOCAL_SET, WORD_AT]);
    address(&mut out, start + 8);
    out.extend([LOCAL_SET, AT]);
    address(&mut out, end);
    out.extend([LOCAL_SET, LAST, LOOP, NO_RESULT]);
    out.extend([LOCAL_GET, WORD_AT, LOCAL_GET, AT, LOAD_BYTE, BYTE[0], BYTE[1], LOCAL_TEE, STEP]);
    number(&mut out, DISTANCE.into());
    out.extend([AND, ADD, LOCAL_TEE, WORD_AT]);
    out.extend([LOCAL_GET, WORD_AT, LOAD, WORD[0], WORD[1]]);
    out.extend([LOCAL_GET, TO_MEMORY, LOCAL_GET, STEP]);
    number(&mut out, IN_MEMORY.into());
    out.extend([AND, MULTIPLY, ADD, LOCAL_GET, TO_TABLE, LOCAL_GET, STEP]);
    number(&mut out, IN_MEMORY.into());
    out.push(SHIFT_RIGHT);
    number(&mut out, 1);
    out.extend([AND, MULTIPLY, ADD, STORE, WORD[0], WORD[1]]);
    out.extend([LOCAL_GET, AT]);
    number(&mut out, 1);
    out.extend([ADD, LOCAL_TEE, AT, LOCAL_GET, LAST, NOT_EQUAL, BR_IF, 0, END]);
    out.extend_from_slice(rest);
    out.push(END);
    out
}

/// The name of the section that tells the dynamic linker how much memory the module needs, with its length.
const DYLINK: &[u8] = b"\x08dylink.0";

/// The number of that section's part that says so.
const SIZES: u8 = 1;

/// The memory of the module.
struct Memory<'m> {
    size: usize,
    /// The bytes behind the size: the rest of the part that tells it, and the other parts.
    rest: &'m [u8],
    parts: &'m [u8],
    /// The head of the one segment, and its bytes.
    head: &'m [u8],
    data: &'m [u8],
}

impl<'m> Memory<'m> {
    fn read(sections: &[(u8, &'m [u8])]) -> Result<Self> {
        let mut sizes = None;
        let mut segment = None;
        for &(id, content) in sections {
            match id {
                section::CUSTOM => sizes = sizes.or(content.strip_prefix(DYLINK)),
                section::DATA => segment = Some(content),
                _ => {}
            }
        }
        let mut reader = Reader(sizes.context("a module without the section dylink.0")?);
        reader.expect(SIZES)?;
        let part = reader.bytes()?;
        let parts = reader.0;
        let mut reader = Reader(part);
        let size = reader.unsigned()? as usize;
        let rest = reader.0;
        let all = segment.context("a module with pointers and without data")?;
        let mut reader = Reader(all);
        ensure!(reader.unsigned()? == 1, "the data is in several segments");
        ensure!(reader.unsigned()? == 0, "a segment that is not where the memory of the module begins");
        reader.expect(code::GLOBAL_GET)?;
        reader.unsigned()?;
        reader.expect(code::END)?;
        let head = &all[..all.len() - reader.0.len()];
        let data = reader.bytes()?;
        ensure!(data.len() <= size, "more data than memory");
        Ok(Self { size, rest, parts, head, data })
    }

    /// The section that tells the size, for another one.
    fn dylink(&self, size: usize) -> Vec<u8> {
        let part = [&unsigned(size), self.rest].concat();
        [DYLINK, &[SIZES], &unsigned(part.len()), &part, self.parts].concat()
    }

    /// The section of the data, for another content.
    fn segment(&self, data: &[u8]) -> Vec<u8> {
        [self.head, &unsigned(data.len()), data].concat()
    }
}

/// The imports that matter.
#[derive(Debug, Default)]
struct Imports {
    functions: u32,
    memory_base: u32,
    table_base: u32,
}

impl Imports {
    fn read(content: &[u8]) -> Result<Self> {
        let (mut imports, mut globals, mut found) = (Self::default(), 0, 0);
        let mut reader = Reader(content);
        for _ in 0..reader.unsigned()? {
            let (_, name) = (reader.bytes()?, reader.bytes()?);
            match reader.byte()? {
                0 => {
                    reader.unsigned()?;
                    imports.functions += 1;
                }
                1 => {
                    reader.byte()?;
                    reader.limits()?;
                }
                2 => reader.limits()?,
                3 => {
                    reader.byte()?;
                    reader.byte()?;
                    match name {
                        b"__memory_base" => (imports.memory_base, found) = (globals, found | 1),
                        b"__table_base" => (imports.table_base, found) = (globals, found | 2),
                        _ => {}
                    }
                    globals += 1;
                }
                4 => {
                    reader.byte()?;
                    reader.unsigned()?;
                }
                kind => bail!("an import of kind {kind}"),
            }
        }
        ensure!(found == 3, "a side module imports where its memory and its functions begin");
        Ok(imports)
    }
}

/// Finds the function that is exported under its name.
fn exported(content: &[u8]) -> Result<Option<u32>> {
    let mut reader = Reader(content);
    for _ in 0..reader.unsigned()? {
        let name = reader.bytes()?;
        let (kind, index) = (reader.byte()?, reader.unsigned()?);
        if kind == 0 && name == FUNCTION {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn sections(module: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    ensure!(module.starts_with(b"\0asm\x01\0\0\0"), "no WebAssembly module of version 1");
    let (mut reader, mut sections) = (Reader(&module[8..]), Vec::new());
    while !reader.0.is_empty() {
        sections.push((reader.byte()?, reader.bytes()?));
    }
    Ok(sections)
}

/// Reads a number of byte strings.
fn vector(content: &[u8]) -> Result<Vec<&[u8]>> {
    let mut reader = Reader(content);
    (0..reader.unsigned()?).map(|_| reader.bytes()).collect()
}

fn put(out: &mut Vec<u8>, section: u8, content: &[u8]) {
    out.push(section);
    out.extend(unsigned(content.len()));
    out.extend_from_slice(content);
}

/// Encodes a number as LEB128.
fn unsigned(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn signed(mut number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    while !(-0x40..0x40).contains(&number) {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8 & 0x7f);
    out
}

/// The bytes that are left to read.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.0.split_first().context("the module ends in the middle")?;
        self.0 = rest;
        Ok(byte)
    }

    fn expect(&mut self, expected: u8) -> Result<()> {
        let found = self.byte()?;
        ensure!(found == expected, "0x{found:02x} where wasm-ld wrote 0x{expected:02x} before");
        Ok(())
    }

    fn unsigned(&mut self) -> Result<u32> {
        let (number, _) = self.leb()?;
        u32::try_from(number).context("a number that is too large")
    }

    fn signed(&mut self) -> Result<i32> {
        let (number, bits) = self.leb()?;
        let unused = 64 - bits;
        Ok((((number << unused) as i64) >> unused) as i32)
    }

    /// Reads a number in LEB128: its bits, and how many.
    fn leb(&mut self) -> Result<(u64, u32)> {
        let (mut number, mut bits) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << bits;
            bits += 7;
            if byte < 0x80 {
                return Ok((number, bits));
            }
            ensure!(bits < 35, "a number of more than 32 bits");
        }
    }

    fn limits(&mut self) -> Result<()> {
        let has_maximum = self.byte()? & 1 == 1;
        self.unsigned()?;
        if has_maximum {
            self.unsigned()?;
        }
        Ok(())
    }

    /// Reads a length and as many bytes.
    fn bytes(&mut self) -> Result<&'m [u8]> {
        let len = self.unsigned()? as usize;
        let (bytes, rest) = self.0.split_at_checked(len).context("the module ends in the middle")?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A side module whose data is 600 bytes in 700 of memory, with these pointers, written as `wasm-ld` writes it.
    fn module(pointers: &[Pointer]) -> Vec<u8> {
        let mut out = b"\0asm\x01\0\0\0".to_vec();
        let sizes = [&unsigned(700)[..], &[2, 9, 0]].concat();
        put(&mut out, section::CUSTOM, &[DYLINK, &[SIZES], &unsigned(sizes.len()), &sizes].concat());
        put(&mut out, 1, &[1, 0x60, 0, 0]);
        let memory = b"\x03env\x06memory\x02\x00\x01".to_vec();
        let global =
            |name: &str| [b"\x03env", &[name.len() as u8][..], name.as_bytes(), &[3, 0x7f, 0]].concat();
        let imports = [memory, global("__memory_base"), global("__table_base")].concat();
        put(&mut out, section::IMPORT, &[&[3], &imports[..]].concat());
        put(&mut out, 3, &[1, 0]);
        put(&mut out, section::EXPORT, &[&[1, FUNCTION.len() as u8], FUNCTION, &[0, 0]].concat());
        let mut body = vec![0];
        for pointer in pointers {
            let base = if pointer.kind == IN_MEMORY { 0 } else { 1 };
            body.push(code::CONST);
            body.extend(signed(pointer.position.into()));
            body.extend([code::GLOBAL_GET, 0, code::ADD, code::GLOBAL_GET, base, code::CONST]);
            body.extend(signed(pointer.content.into()));
            body.extend([code::ADD, code::STORE, code::WORD[0], code::WORD[1]]);
        }
        body.push(code::END);
        put(&mut out, section::CODE, &[&[1][..], &unsigned(body.len()), &body].concat());
        let mut data = [7; 600];
        for pointer in pointers.iter().filter(|pointer| pointer.position < 600) {
            data[pointer.position as usize..][..4].copy_from_slice(&pointer.content.to_le_bytes());
        }
        let segment = [&[1, 0, code::GLOBAL_GET, 0, code::END][..], &unsigned(data.len()), &data].concat();
        put(&mut out, section::DATA, &segment);
        out
    }

    /// Pointers near to and far from each other, one of them where no word begins, and one at the end.
    fn several() -> Vec<Pointer> {
        let pointer = |position, kind, content| Pointer { position, kind, content };
        vec![
            pointer(12, IN_MEMORY, 500),
            pointer(4, IN_TABLE, 3),
            pointer(8, IN_MEMORY, 0),
            pointer(22, IN_MEMORY, 77),
            pointer(264, IN_TABLE, 8),
            pointer(520, IN_MEMORY, -4),
            pointer(596, IN_MEMORY, 696),
        ]
    }

    /// Loads a module at 4,096 and 30 in Node, and stores its pointers so many times: the words of its memory.
    fn words(module: &[u8], times: u32) -> String {
        let script = format!(
            "const memory = new WebAssembly.Memory({{initial: 1}});
             const base = (value) => new WebAssembly.Global({{value: 'i32'}}, value);
             const env = {{memory, __memory_base: base(4096), __table_base: base(30)}};
             const module = new WebAssembly.Module(new Uint8Array({module:?}));
             const {{exports}} = new WebAssembly.Instance(module, {{env}});
             for (let time = 0; time < {times}; time++) exports.__wasm_apply_data_relocs();
             const view = new Uint8Array(memory.buffer);
             console.log([...view.slice(0, 4096), ...view.slice(4096, 4796)].join(' '));
             console.log(view.slice(4096 + 12000).some(Boolean));"
        );
        let output = Command::new("node").args(["-e", &script]).output().expect("Node is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("numbers")
    }

    /// Protects each pointer of the module: a wrong one is a crash, or worse, in everybody's page.
    #[test]
    fn the_loop_stores_the_pointers_that_the_code_stored() {
        let long = module(&several());
        let short = compact(&long).expect("it has wasm-ld's form");
        let expected = words(&long, 1);
        assert_eq!(words(&short, 1), expected);
        assert_eq!(words(&short, 3), expected, "a second time adds nothing");
    }

    /// Protects the gain: a byte of the table and nothing else for a pointer that is near to the one before.
    #[test]
    fn a_pointer_takes_a_byte() {
        let many = |count| (1..=count).map(|number| Pointer { position: number * 4, ..several()[0] });
        let len = |count| compact(&module(&many(count).collect::<Vec<_>>())).expect("wasm-ld's form").len();
        assert_eq!(len(120) - len(100), 20);
        assert!(len(140) < module(&many(140).collect::<Vec<_>>()).len() - 1_500);
    }

    /// Protects against a silent change of `wasm-ld`: the build fails, and says what it found.
    #[test]
    fn another_form_is_refused() {
        let nothing = module(&[]);
        assert_eq!(compact(&nothing).expect("there is nothing to do"), nothing);
        assert!(compact(b"").is_err());
        let known = module(&several());
        let stores = known.iter().rposition(|&byte| byte == code::STORE).expect("it stores");
        let mut other = known.clone();
        other[stores] = 0x37;
        let error = compact(&other).expect_err("it stores 64 bits").to_string();
        assert!(error.contains("0x37"), "{error}");
        let twice = [several(), several()].concat();
        assert!(compact(&module(&twice)).is_err());
        let beyond = Pointer { position: 700, ..several()[0] };
        assert!(compact(&module(&[beyond])).is_err());
    }
}
