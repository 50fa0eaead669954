//! Which leaves stand in their order. Files are only appended to, so in each of them the leaves rise.

use crate::verify::search::Run;

/// Which of the runs of a stream stand in order: those that rise and have the most leaves together.
pub fn in_order(runs: &[Run]) -> Vec<bool> {
    let mut ranks: Vec<usize> = (0..runs.len()).collect();
    ranks.sort_unstable_by_key(|place| runs[*place].index);
    let mut rank_of = vec![0; runs.len()];
    for (rank, place) in ranks.into_iter().enumerate() {
        rank_of[place] = rank;
    }
    // For each rank, the most leaves of rising runs that end there or before, and the last of those runs: a Fenwick tree.
    let mut best: Vec<(u64, Option<usize>)> = vec![(0, None); runs.len() + 1];
    let mut before = vec![None; runs.len()];
    let mut last = (0, None);
    for (place, run) in runs.iter().enumerate() {
        let (mut leaves, mut from) = (0, None);
        let mut node = rank_of[place];
        while node > 0 {
            if best[node].0 > leaves {
                (leaves, from) = best[node];
            }
            node &= node - 1;
        }
        before[place] = from;
        let leaves = leaves + run.count;
        let mut node = rank_of[place] + 1;
        while node <= runs.len() {
            if leaves > best[node].0 {
                best[node] = (leaves, Some(place));
            }
            node += node & node.wrapping_neg();
        }
        if leaves > last.0 {
            last = (leaves, Some(place));
        }
    }
    let mut ordered = vec![false; runs.len()];
    let mut next = last.1;
    while let Some(place) = next {
        ordered[place] = true;
        next = before[place];
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(runs: &[(u64, u64)]) -> Vec<bool> {
        let runs: Vec<Run> = runs
            .iter()
            .map(|(index, count)| Run {
                stream: 0,
                from: 0,
                to: 0,
                index: *index,
                count: *count,
                is_expected: true,
                is_own: true,
            })
            .collect();
        in_order(&runs)
    }

    #[test]
    fn what_is_moved_is_the_smaller_part() {
        assert!(ordered(&[]).is_empty());
        assert_eq!(ordered(&[(0, 5), (5, 5)]), [true, true]);
        // One line came forward over 47 others.
        assert_eq!(ordered(&[(0, 50), (99, 1), (50, 47), (100, 5)]), [true, false, true, true]);
        // Two neighbours were swapped.
        assert_eq!(ordered(&[(0, 3), (4, 1), (3, 1), (5, 9)]).iter().filter(|one| **one).count(), 3);
        // All stand the other way round.
        assert_eq!(ordered(&[(3, 1), (2, 1), (1, 1), (0, 1)]).iter().filter(|one| **one).count(), 1);
    }
}
