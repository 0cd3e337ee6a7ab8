//! Requests that wait for their answers.
