//! A hash table with a bound, in order of use.
