//! TCP: headers, connections, reassembly.
