//! Running a cloud from a command line.
