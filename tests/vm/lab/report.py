# SPDX-License-Identifier: BSD-2-Clause
"""What was asserted, and the figure: a table."""

import os
import time
import traceback


class Report:
    def __init__(self, path):
        self.path = path
        self.rows = []
        self.suite = self.step = ""
        self.begun = time.monotonic()

    def check(self, what, ok, figure=""):
        """One row; returns ok."""
        ok = bool(ok)
        self.rows.append((self.suite, self.step, what, str(figure), ok))
        print("  %-6s %s%s" % ("ok" if ok else "FAILED", what, ": %s" % figure if figure else ""),
              flush=True)
        return ok

    def run(self, suite, test, *arguments):
        """A step: an exception in it is a row that failed."""
        self.suite, self.step = suite, (test.__doc__ or test.__name__).split("\n")[0].strip()
        print("%s: %s" % (suite, self.step), flush=True)
        begun, failed = time.monotonic(), self.failed
        try:
            test(*arguments)
        except Exception as error:  # whatever it is, the next step goes on
            self.check(str(error).strip() or type(error).__name__, False)
            traceback.print_exc()
        print("  %.0f s" % (time.monotonic() - begun), flush=True)
        return self.failed == failed

    @property
    def failed(self):
        return sum(not row[4] for row in self.rows)

    def end(self):
        """Writes the table and says how it went; the exit status."""
        with open(self.path, "w") as file:
            for row in self.rows:
                cells = [cell.replace("\t", " ").replace("\n", " ") for cell in row[:4]]
                print(*cells, "ok" if row[4] else "FAILED", sep="\t", file=file)
        print("%s: %.1f minutes" % (self.suite, (time.monotonic() - self.begun) / 60), flush=True)
        return 1 if self.failed or not self.rows else 0


def end_report(path, tables, statuses):
    """One table of several, and how it went; the exit status."""
    rows = []
    for table in tables:
        if os.path.exists(table):
            with open(table) as file:
                rows += [line.rstrip("\n").split("\t") for line in file]
    with open(path, "w") as file:
        print("suite\tstep\tasserted\tfigure\tresult", file=file)
        for row in rows:
            print(*row, sep="\t", file=file)
    failed = [row for row in rows if row[4] != "ok"]
    for row in failed:
        print("FAILED: %s: %s: %s %s" % tuple(row[:4]))
    print("the table: " + path)
    print("%d passed, %d failed" % (len(rows) - len(failed), len(failed)), flush=True)
    return 1 if failed or not rows or any(statuses) else 0
