//! Configuration: the file's grammar, the regions, and how flags, environment and files make settings.
//!
//! Pure: texts, environment and home directory are arguments.
