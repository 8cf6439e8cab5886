"""The kernel: knows no medium. Jobs, accounts, rows, quota, HTTP, ledger, stores."""
