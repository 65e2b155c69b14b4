//! By which name a participant knows an order.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::id::{ClientId, OrderId};

/// How many names a bucket has in the mean.
const LOAD: usize = 6;

/// Bits of a word that are the order's number; those above are of the hash of its name.
const NUMBER_BITS: u32 = 40;

/// The names of one participant's orders: a number and some bits of a hash each, in buckets that are
/// cut in two one after the other as names come, so that none is ever built anew. With its fixed
/// keys the hash is the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    buckets: Vec<Vec<u64>>,
    count: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new()],
            count: 0,
        }
    }
}

impl Names {
    /// The order of this name, where it is known which name an order has.
    pub(crate) fn find<'a>(
        &self,
        name: &ClientId,
        name_of: impl Fn(OrderId) -> &'a ClientId,
    ) -> Option<OrderId> {
        let hash = hash_of(name);
        let alike = self.buckets[self.bucket(hash)].iter();
        let alike = alike.filter(|word| **word >> NUMBER_BITS == hash);
        let mut orders = alike.map(|word| number(*word));
        orders.find(|order| name_of(*order) == name)
    }

    /// Knows an order by a name of which there is none yet.
    pub(crate) fn add(&mut self, name: &ClientId, order: OrderId) {
        let number = u64::try_from(order.0).unwrap_or(u64::MAX);
        assert!(
            number >> NUMBER_BITS == 0,
            "there are fewer than a trillion orders"
        );
        let hash = hash_of(name);
        let bucket = self.bucket(hash);
        self.buckets[bucket].push(hash << NUMBER_BITS | number);
        self.count += 1;
        if self.count > self.buckets.len() * LOAD {
            self.cut_the_next();
        }
    }

    /// Every order.
    pub(crate) fn orders(&self) -> impl Iterator<Item = OrderId> + '_ {
        self.buckets.iter().flatten().map(|word| number(*word))
    }

    fn bucket(&self, hash: u64) -> usize {
        let count = self.buckets.len();
        let wide = count.next_power_of_two() - 1;
        let hash = usize::try_from(hash).unwrap_or(0);
        let bucket = hash & wide;
        if bucket < count {
            bucket
        } else {
            hash & (wide >> 1)
        }
    }

    /// Adds a bucket for half of what is in the one whose turn it is.
    fn cut_the_next(&mut self) {
        let count = self.buckets.len();
        let next = count - (count.next_power_of_two() >> usize::from(!count.is_power_of_two()));
        self.buckets.push(Vec::new());
        let before = std::mem::take(&mut self.buckets[next]);
        for word in before {
            let bucket = self.bucket(word >> NUMBER_BITS);
            self.buckets[bucket].push(word);
        }
    }
}

fn number(word: u64) -> OrderId {
    let number = word & ((1 << NUMBER_BITS) - 1);
    OrderId(i64::try_from(number).unwrap_or(i64::MAX))
}

/// As many bits of a hash as a word has besides the number.
fn hash_of(name: &ClientId) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() >> NUMBER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_is_found_by_its_name_and_no_other() {
        let names: Vec<ClientId> = (0..5_000).map(|at| ClientId(format!("n{at}"))).collect();
        let name_of = |order: OrderId| &names[usize::try_from(order.0).unwrap()];
        let mut known = Names::default();
        for (number, name) in (0..).zip(&names) {
            assert_eq!(known.find(name, name_of), None);
            known.add(name, OrderId(number));
        }
        for (number, name) in (0..).zip(&names) {
            assert_eq!(known.find(name, name_of), Some(OrderId(number)));
        }
        let mut orders: Vec<i64> = known.orders().map(|order| order.0).collect();
        orders.sort_unstable();
        assert_eq!(orders, (0..5_000).collect::<Vec<i64>>());
        let longest = known.buckets.iter().map(Vec::len).max();
        assert!(longest < Some(30), "buckets stay short: {longest:?}");
    }
}
