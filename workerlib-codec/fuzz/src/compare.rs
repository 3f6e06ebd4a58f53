//! Whether two values are the same, what they share included.

use std::collections::HashMap;

use workerlib_codec::Value;

/// Returns whether two values are the same to the bit, and refer to the same of their parts.
///
/// The numbers of shared values, and numbers to which nothing refers, do not matter: they are not part of what is
/// sent. A NaN is the same as itself, and no depth overflows the stack.
pub fn same(left: &Value, right: &Value) -> bool {
    let mut stack = vec![(left, right)];
    // For either side, which node of the walk has a number.
    let mut defined = [HashMap::new(), HashMap::new()];
    let mut node = 0usize;
    while let Some((left, right)) = stack.pop() {
        node += 1;
        let [of_left, of_right] = &mut defined;
        let (left, right) = (unwrap(left, node, of_left), unwrap(right, node, of_right));
        let alike = match (left, right) {
            (Value::Shared(left), Value::Shared(right)) => match (of_left.get(left), of_right.get(right)) {
                (Some(left), Some(right)) => left == right,
                // The model defines the content of a cycle's copy nowhere, on either side.
                (None, None) => true,
                _ => false,
            },
            (Value::Float(left), Value::Float(right)) => left.to_bits() == right.to_bits(),
            (Value::Complex(real, imaginary), Value::Complex(other_real, other_imaginary)) => {
                real.to_bits() == other_real.to_bits() && imaginary.to_bits() == other_imaginary.to_bits()
            }
            (Value::List(left), Value::List(right))
            | (Value::Tuple(left), Value::Tuple(right))
            | (Value::Set(left), Value::Set(right))
            | (Value::Frozenset(left), Value::Frozenset(right)) => push(&mut stack, left, right),
            (Value::Extension(kind, left), Value::Extension(other, right)) => {
                kind == other && push(&mut stack, left, right)
            }
            (Value::Dict(left), Value::Dict(right)) => {
                let pairs = left.iter().zip(right).rev();
                stack.extend(pairs.flat_map(|(left, right)| [(&left.1, &right.1), (&left.0, &right.0)]));
                left.len() == right.len()
            }
            (left, right) => !is_container(left) && left == right,
        };
        if !alike {
            return false;
        }
    }
    true
}

/// Notes the numbers of a value, and returns what has them.
fn unwrap<'v>(mut value: &'v Value, node: usize, numbers: &mut HashMap<usize, usize>) -> &'v Value {
    while let Value::Defined(number, inner) = value {
        numbers.insert(*number, node);
        value = inner;
    }
    value
}

/// Puts pairs of elements on the stack, the first on top.
fn push<'v>(stack: &mut Vec<(&'v Value, &'v Value)>, left: &'v [Value], right: &'v [Value]) -> bool {
    stack.extend(left.iter().zip(right).rev());
    left.len() == right.len()
}

/// Returns whether a value holds others, so that comparing it whole would be a recursion.
fn is_container(value: &Value) -> bool {
    matches!(
        value,
        Value::List(_)
            | Value::Tuple(_)
            | Value::Set(_)
            | Value::Frozenset(_)
            | Value::Extension(..)
            | Value::Dict(_)
            | Value::Shared(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: impl IntoIterator<Item = Value>) -> Value {
        Value::List(values.into_iter().collect())
    }

    fn defined(number: usize, value: Value) -> Value {
        Value::Defined(number, Box::new(value))
    }

    #[test]
    fn numbers_do_not_matter_and_what_they_name_does() {
        let twice = |number| list([defined(number, list([])), list([]), Value::Shared(number)]);
        let other = list([list([]), defined(0, list([])), Value::Shared(0)]);
        assert!(same(&twice(3), &twice(0)));
        assert!(!same(&twice(0), &other));
        assert!(!same(&twice(0), &list([list([]), list([]), list([])])));
        assert!(same(&defined(0, Value::Nil), &Value::Nil));
    }

    #[test]
    fn bits_types_and_lengths_matter() {
        assert!(same(&Value::Float(f64::NAN), &Value::Float(f64::NAN)));
        assert!(!same(&Value::Float(0.0), &Value::Float(-0.0)));
        assert!(!same(&list([Value::Nil]), &Value::Tuple(vec![Value::Nil])));
        assert!(!same(&list([Value::Nil]), &list([])));
        assert!(!same(&Value::Extension(20, vec![]), &Value::Extension(21, vec![])));
        let pair = |value| Value::Dict(vec![(Value::Int(1), value)]);
        assert!(same(&pair(Value::Nil), &pair(Value::Nil)));
        assert!(!same(&pair(Value::Nil), &pair(Value::Bool(true))));
    }
}
