//! What a component without `std` and wasi-libc has to define itself: the allocator, the function through
//! which the host allocates, and `memcmp`. (`memcpy` and the like are instructions of WebAssembly.)

use core::alloc::Layout;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Allocates memory for the host, as the component model's canonical ABI demands.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
    // SAFETY: the canonical ABI passes an alignment that is a power of two and a length that fits a `Layout`.
    // `old` is a block of `old_len` bytes that this function returned before.
    let block = unsafe {
        if len == 0 {
            return core::ptr::without_provenance_mut(align);
        }
        if old_len == 0 {
            alloc::alloc::alloc(Layout::from_size_align_unchecked(len, align))
        } else {
            alloc::alloc::realloc(old, Layout::from_size_align_unchecked(old_len, align), len)
        }
    };
    if block.is_null() {
        core::arch::wasm32::unreachable();
    }
    block
}

/// Compares `len` bytes as C's `memcmp` does.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    const WORD: usize = size_of::<u64>();
    let mut at = 0;
    // SAFETY: the caller guarantees `len` bytes behind both pointers, and every access is within them.
    unsafe {
        while at + WORD <= len {
            let word = |p: *const u8| p.add(at).cast::<u64>().read_unaligned();
            let (x, y) = (word(a), word(b));
            if x != y {
                return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
            }
            at += WORD;
        }
        while at < len {
            let (x, y) = (*a.add(at), *b.add(at));
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            at += 1;
        }
    }
    0
}
