//! A queue out of which any entry can be taken, at no more cost than a search by halves.

use std::collections::VecDeque;

/// Entries in the order in which they came.
///
/// An entry that is taken out of the middle leaves a gap; the gaps are closed when they outnumber the entries, so
/// that a queue of which only the middle moves does not grow for ever.
#[derive(Debug)]
pub(crate) struct Line<T> {
    /// The tickets ascend.
    entries: VecDeque<(u64, Option<T>)>,
    gaps: usize,
    issued: u64,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), gaps: 0, issued: 0 }
    }
}

impl<T> Line<T> {
    /// Adds an entry; returns the ticket by which it can be taken out.
    pub(crate) fn push(&mut self, entry: T) -> u64 {
        self.issued += 1;
        self.entries.push_back((self.issued, Some(entry)));
        self.issued
    }

    /// Takes out the entry with that ticket, if it is still there.
    pub(crate) fn remove(&mut self, ticket: u64) -> Option<T> {
        let index = self.entries.binary_search_by_key(&ticket, |&(ticket, _)| ticket).ok()?;
        let entry = self.entries[index].1.take()?;
        self.gaps += 1;
        if self.gaps > self.len() {
            self.entries.retain(|(_, entry)| entry.is_some());
            self.gaps = 0;
        }
        Some(entry)
    }

    /// Returns the entry that came first.
    pub(crate) fn front(&mut self) -> Option<&T> {
        self.skip_gaps();
        self.entries.front().and_then(|(_, entry)| entry.as_ref())
    }

    /// Takes out the entry that came first.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.skip_gaps();
        self.entries.pop_front().and_then(|(_, entry)| entry)
    }

    /// Returns the entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|(_, entry)| entry.as_ref())
    }

    /// Takes out all entries.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.gaps = 0;
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.gaps
    }

    /// Returns whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn skip_gaps(&mut self) {
        while let Some((_, None)) = self.entries.front() {
            self.entries.pop_front();
            self.gaps -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects the order of calls when some of them are cancelled.
    #[test]
    fn what_is_left_stays_in_order() {
        let mut line = Line::default();
        let tickets: Vec<_> = (0..10).map(|number| line.push(number)).collect();
        for number in [0, 4, 9, 5] {
            assert_eq!(line.remove(tickets[number]), Some(number));
            assert_eq!(line.remove(tickets[number]), None, "it was taken out");
        }
        assert_eq!((line.len(), line.front()), (6, Some(&1)));
        assert_eq!(std::iter::from_fn(|| line.pop()).collect::<Vec<_>>(), [1, 2, 3, 6, 7, 8]);
        assert!(line.is_empty());
    }

    /// Protects memory: behind a call that cannot be sent yet, any number of calls may come and be cancelled.
    #[test]
    fn gaps_do_not_pile_up() {
        let mut line = Line::default();
        line.push(0);
        for number in 1..10_000 {
            let ticket = line.push(number);
            line.remove(ticket);
        }
        assert!(line.entries.len() < 8, "{}", line.entries.len());
        assert_eq!(line.pop(), Some(0));
    }
}
