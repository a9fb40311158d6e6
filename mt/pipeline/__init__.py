"""Motion: everything that makes a test go from written to done."""
