"""A small water works of real Modbus stacks in network namespaces."""
