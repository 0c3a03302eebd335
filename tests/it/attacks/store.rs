//! Attacks on the data folder: flipped bits, journals that end in the middle, symbolic links, rights of other users, a full disk.

mod damage;
mod full;
mod rights;
