"""Privacy of results: how much one row can change what is revealed, and the noise that hides it.

`mechanism` (what stands after `with`, and how much noise that means), `queries` and `ranges` (sensitivity of what a
query gives), `arrays` (of arrays and single numbers), `noised` (adds the noise), `spending` (what a circuit spends).

**What is hidden** is one row of one owner's table: whoever learns the result can hardly tell what that row holds.  Two
inputs are neighbours if one row of one table or array is *replaced* by any other, since the number of rows is public
anyway (of a table with `rows <= n`, a row may also appear or vanish).  Of `clip_norm(g, c)` all of g is hidden, as a
whole.
"""

from dsl.privacy.lineage import Lineage, Owned
from dsl.privacy.spending import Spending

__all__ = ["Lineage", "Owned", "Spending"]
