//! Values made from the bytes of a fuzzer.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use workerlib_codec::marker::{Container, ext};
use workerlib_codec::{Value, ViewHeader};

/// Which values are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// All that the codec has, sharing and cycles included.
    All,
    /// The values that plain MessagePack has too.
    Plain,
}

/// A value, and what is known of it from its making.
#[derive(Debug)]
pub struct Made {
    /// The value.
    pub value: Value,
    /// The number of its containers: what it refers to can make it no deeper than that.
    pub containers: usize,
}

/// The depth of the values that are made: below the depth that is refused in dict keys and sets.
const DEPTH: usize = 60;

/// Makes a value that can be encoded.
///
/// # Errors
///
/// If the bytes do not make one.
pub fn make(bytes: &mut Unstructured<'_>, subset: Subset) -> Result<Made> {
    let mut maker = Maker { subset, numbers: 0, available: Vec::new(), containers: 0 };
    let value = maker.value(bytes, 0)?;
    Ok(Made { value, containers: maker.containers })
}

struct Maker {
    subset: Subset,
    /// The number of numbers that were given to values.
    numbers: usize,
    /// The numbers to which a reference may stand here.
    available: Vec<usize>,
    containers: usize,
}

impl Maker {
    fn value(&mut self, from: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
        // At the end of the bytes comes the smallest value, not an error.
        if from.is_empty() {
            return Ok(Value::Nil);
        }
        if self.subset == Subset::Plain {
            return match from.int_in_range(0..=8)? {
                kind @ (7 | 8) if depth < DEPTH => self.container(from, depth, kind - 7, None),
                kind => scalar(from, kind % 7),
            };
        }
        let number = if from.ratio(1, 4)? { Some(self.number()) } else { None };
        let value = match from.int_in_range(0..=22)? {
            kind @ 0..=13 => scalar(from, kind)?,
            kind @ 14..=20 if depth < DEPTH => return self.container(from, depth, kind - 14, number),
            _ if !self.available.is_empty() => {
                return from.choose(&self.available).copied().map(Value::Shared);
            }
            _ => Value::Nil,
        };
        Ok(match number {
            Some(number) => {
                self.available.push(number);
                Value::Defined(number, Box::new(value))
            }
            None => value,
        })
    }

    fn container(
        &mut self,
        from: &mut Unstructured<'_>,
        depth: usize,
        kind: u8,
        number: Option<usize>,
    ) -> Result<Value> {
        self.containers += 1;
        let kind = match kind {
            0 => Container::List,
            1 => Container::Dict,
            2 => Container::Tuple,
            3 => Container::Set,
            4 => Container::Frozenset,
            5 => Container::Extension(from.int_in_range(ext::FILLED_FIRST..=ext::FILLED_LAST)?),
            _ => Container::Extension(from.int_in_range(ext::BUILT_FIRST..=ext::BUILT_LAST)?),
        };
        // Most are small; what is beyond the one-byte and two-byte headers has to be reached too.
        let count = if from.ratio(1, 32)? { from.int_in_range(0..=300)? } else { from.int_in_range(0..=6)? };
        let count = count * kind.values_per_element();
        let mut values = Vec::new();
        for done in 0..count {
            self.open(number, kind.exists_after() == Some(done));
            values.push(self.value(from, depth + 1)?);
        }
        // It exists before its first value, after some, or at its end.
        self.open(number, kind.exists_after().is_none_or(|after| after >= count));
        let value = match kind {
            Container::List => Value::List(values),
            Container::Tuple => Value::Tuple(values),
            Container::Set => Value::Set(values),
            Container::Frozenset => Value::Frozenset(values),
            Container::Extension(kind) => Value::Extension(kind, values),
            Container::Dict => {
                let mut values = values.into_iter();
                Value::Dict(std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect())
            }
            kind => unreachable!("{kind:?} is none of those above"),
        };
        Ok(match number {
            Some(number) => Value::Defined(number, Box::new(value)),
            None => value,
        })
    }

    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers - 1
    }

    fn open(&mut self, number: Option<usize>, exists: bool) {
        self.available.extend(number.filter(|_| exists));
    }
}

/// Makes a scalar or a buffer; the first seven kinds are plain MessagePack's.
fn scalar(from: &mut Unstructured<'_>, kind: u8) -> Result<Value> {
    Ok(match kind {
        0 => Value::Nil,
        1 => Value::Bool(from.arbitrary()?),
        2 => Value::Int(from.arbitrary::<i64>()? >> from.int_in_range(0..=63)?),
        3 => Value::Uint(from.arbitrary::<u64>()? | 1 << 63),
        4 => Value::Float(from.arbitrary()?),
        5 => Value::Str(from.arbitrary()?),
        6 => Value::Bytes(data(from)?),
        7 => Value::Bytearray(data(from)?),
        8 => Value::Surrogates(data(from)?),
        9 => Value::BigInt(Bytes::from([&data(from)?[..], &[0x7f]].concat())),
        10 => Value::Complex(from.arbitrary()?, from.arbitrary()?),
        11 => Value::Ellipsis,
        12 => Value::NotImplemented,
        _ => {
            let data = data(from)?;
            let itemsize = from.int_in_range(1..=8u32)?;
            let items = data.len() as u64 / u64::from(itemsize);
            let data = data.slice(..(items * u64::from(itemsize)) as usize);
            let shape = if items == 1 { vec![] } else { vec![1, items] };
            let (readonly, format) = (from.arbitrary()?, from.arbitrary::<String>()?);
            Value::View(ViewHeader::new(readonly, itemsize, format, shape), data)
        }
    })
}

fn data(from: &mut Unstructured<'_>) -> Result<Bytes> {
    let bytes: &[u8] = from.arbitrary()?;
    Ok(Bytes::copy_from_slice(bytes))
}
