"""The families of FPGAs that a design can be built for: one file each."""
