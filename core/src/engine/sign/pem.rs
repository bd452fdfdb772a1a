//! Finds the key in a PEM text.
