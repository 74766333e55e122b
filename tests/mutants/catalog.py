"""All design mutants: those of the proofs (tests/formal), which name theirs, and those of the tests."""

from tests.mutants.by_tests import BY_TESTS
from tests.mutants.mutant import Mutant
from tests.mutants.of_batches import OF_BATCHES
from tests.mutants.of_clocks import OF_CLOCKS
from tests.mutants.of_io import OF_IO
from tests.mutants.of_links import OF_LINKS
from tests.mutants.of_records import OF_RECORDS
from tests.mutants.of_slices import OF_SLICES
from tests.mutants.of_sums import OF_SUMS

ALL = (*OF_SLICES, *OF_LINKS, *OF_BATCHES, *OF_IO, *OF_RECORDS, *OF_SUMS, *OF_CLOCKS, *BY_TESTS)
MUTANTS: dict[str, Mutant] = {mutant.name: mutant for mutant in ALL}
