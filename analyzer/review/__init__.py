"""What people decided about findings, and who looked at what: one log, append-only, each entry chained to the one before by its hash.

It stands in SQLite beside the runs, or in PostgreSQL where several hosts share it. A verdict belongs to the finding's stable id, so it
outlives the run it was given on; it is stale when rule or evidence have changed since. Who writes says which entry of the finding was the
last he saw: where somebody else has written since, nothing is stored and he is told.
"""

from analyzer.review.database import FILE as FILE
from analyzer.review.database import VARIABLE as VARIABLE
from analyzer.review.entries import CHECKED as CHECKED
from analyzer.review.entries import DECIDED as DECIDED
from analyzer.review.entries import FALSE as FALSE
from analyzer.review.entries import FIRST as FIRST
from analyzer.review.entries import HASHED as HASHED
from analyzer.review.entries import LONGEST_COMMENT as LONGEST_COMMENT
from analyzer.review.entries import RESULTS as RESULTS
from analyzer.review.entries import STATES as STATES
from analyzer.review.entries import TRUE as TRUE
from analyzer.review.entries import Entry as Entry
from analyzer.review.entries import entry_hash as entry_hash
from analyzer.review.entries import same_person as same_person
from analyzer.review.quality import SMALLEST_SAMPLE as SMALLEST_SAMPLE
from analyzer.review.quality import Agreement as Agreement
from analyzer.review.quality import Misses as Misses
from analyzer.review.quality import Task as Task
from analyzer.review.quality import kappa as kappa
from analyzer.review.reviews import LONGEST_SUPPRESSION as LONGEST_SUPPRESSION
from analyzer.review.reviews import Bulk as Bulk
from analyzer.review.reviews import Reviews as Reviews
from analyzer.review.standing import MARKS as MARKS
from analyzer.review.standing import Standing as Standing
