use std::sync::Arc;

use super::Cache;

#[test]
fn what_is_used_stays_and_the_weight_is_bounded() {
    let cache: Cache<u32, u32> = Cache::new(100);
    for n in 0..1_000 {
        cache.put(n, &Arc::new(n), 10);
        assert_eq!(cache.get(0).as_deref(), Some(&0), "used all the time, gone after {n}");
    }
    assert_eq!(cache.get(10), None);
    let kept = (0..1_000).filter(|n| cache.get(*n).is_some()).count();
    assert!(kept <= 10, "{kept} entries of weight 10");
}

#[test]
fn too_heavy_is_not_kept_and_forgotten_is_gone() {
    let cache: Cache<u32, u32> = Cache::new(100);
    cache.put(1, &Arc::new(1), 51);
    assert_eq!(cache.get(1), None);
    cache.put(2, &Arc::new(2), 50);
    cache.put(2, &Arc::new(3), 50);
    assert_eq!(cache.get(2).as_deref(), Some(&3));
    cache.forget(2);
    assert_eq!(cache.get(2), None);
}
