"""What people edit: TOML files with every mistake named by its line, and the rules of policy."""
