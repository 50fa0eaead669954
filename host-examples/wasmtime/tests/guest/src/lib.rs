//! A guest that writes to a store which is not its own, and as far as it is let reads from it. It does what a test asks for,
//! also what no honest guest does.
#![cfg_attr(target_family = "wasm", no_std)]

#[cfg(target_family = "wasm")]
extern crate alloc;

#[cfg(all(target_family = "wasm", not(feature = "spy")))]
mod guest;
#[cfg(target_family = "wasm")]
#[path = "../../../../../src/runtime.rs"]
mod runtime;
#[cfg(all(target_family = "wasm", feature = "spy"))]
mod spy;

#[cfg(target_family = "wasm")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
