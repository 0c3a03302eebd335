//! The events of one payment's life to its state.

use crate::stubs::life;
use paystream::payment::State;
use std::hint::black_box;

pub(crate) fn fold() -> Box<dyn FnMut()> {
    let events: Vec<_> = life(0).collect();
    Box::new(move || {
        black_box(State::fold(black_box(&events)).view());
    })
}
