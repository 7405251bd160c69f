#!/usr/bin/env python3
"""Expected results of the tests in `src/rollback/stats/fixed`, from SciPy (1.14 or later).

    python3 -m venv venv && venv/bin/pip install scipy
    venv/bin/python tests/vectors/fixed_horizon.py > tests/vectors/fixed_horizon.jsonl
"""

import json
import random
from fractions import Fraction
from math import isinf, sqrt

from scipy import stats

draw = random.Random(20_261_128)


def line(test, statistic, p, **inputs):
    statistic = "inf" if isinf(statistic) else float(statistic)
    print(json.dumps({"test": test, **inputs, "statistic": statistic, "p": float(p)}))


def exactly(a, n, c, m):
    """Fisher's test in fractions: SciPy takes hours at these counts. The events, or the others, have to be few."""
    odds = a * (m - c) / ((n - a) * c) if (n - a) * c else float("inf")
    if a + c > n + m - a - c:
        a, c = n - a, m - c
    weights = [Fraction(1)]
    for k in range(min(n, a + c)):
        weights.append(weights[-1] * Fraction((n - k) * (a + c - k), (k + 1) * (m - a - c + k + 1)))
    return odds, float(sum(weight for weight in weights if weight <= weights[a]) / sum(weights))


def proportions(canary, baseline):
    (a, n), (c, m) = canary, baseline
    table = [[a, n - a], [c, m - c]]
    smallest = min(n, m) * min(a + c, n + m - a - c) / (n + m)
    for yates in (False, True):
        if smallest < 5:
            found = stats.fisher_exact(table) if n + m < 10**9 else exactly(a, n, c, m)
            undefined = a + c in (0, n + m)
            found = (1.0 if undefined else found[0], found[1])
        else:
            found = stats.chi2_contingency(table, correction=yates)[:2]
        line("proportions", *found, canary=canary, baseline=baseline, yates=yates)


def means(canary, baseline):
    deviations = [(mean, sqrt(variance), count) for count, mean, variance in (canary, baseline)]
    found = stats.ttest_ind_from_stats(*deviations[0], *deviations[1], equal_var=False)
    line("means", found.statistic, found.pvalue, canary=canary, baseline=baseline)


def samples(canary, baseline):
    if len(set(canary)) > 1 or len(set(baseline)) > 1:
        found = stats.ttest_ind(canary, baseline, equal_var=False)
        line("means_of", found.statistic, found.pvalue, canary=canary, baseline=baseline)
    found = stats.mannwhitneyu(canary, baseline, method="asymptotic", use_continuity=True)
    line("ranks", found.statistic, found.pvalue, canary=canary, baseline=baseline)


def histograms(canary, baseline):
    """Small ones by SciPy, large ones by the same formula in whole numbers."""
    n, m = sum(canary), sum(baseline)
    if n + m < 100_000:
        values = [[bucket for bucket, count in enumerate(arm) for _ in range(count)] for arm in (canary, baseline)]
        found = stats.mannwhitneyu(*values, method="asymptotic", use_continuity=True)
        statistic, p = found.statistic, found.pvalue
    else:
        below, twice = 0, 0
        for a, b in zip(canary, baseline):
            twice += a * (2 * below + b)
            below += b
        every = n + m
        ties = sum((a + b) ** 3 - (a + b) for a, b in zip(canary, baseline))
        variance = n * m * (every**3 - every - ties) / (12 * every * (every - 1))
        p = min(1.0, 2 * stats.norm.sf((abs(twice - n * m) / 2 - 0.5) / sqrt(variance)))
        statistic = twice / 2
    line("histograms", statistic, p, canary=canary, baseline=baseline)


for pair in [
    ((1, 100), (0, 1_000)),
    ((0, 100), (1, 1_000)),
    ((0, 100), (0, 1_000)),
    ((100, 100), (1_000, 1_000)),
    ((0, 1), (1, 1)),
    ((1, 1), (0, 1)),
    ((3, 3), (0, 3)),
    ((5, 10), (5, 10)),
    ((8, 10), (2, 10)),
    ((15, 1_200), (100, 100_000)),
    ((60, 10_000), (1_900, 190_000)),
    ((4, 10**12), (0, 10**12)),
    ((0, 10**12), (9, 10**12)),
    ((9, 10**12), (0, 10**6)),
    ((10**9, 10**12), (10**9 + 60_000, 10**12)),
    ((10**12 // 2, 10**12), (10**12 // 2 - 10**6, 10**12)),
    ((10**12 - 2, 10**12), (10**12, 10**12)),
]:
    proportions(*pair)
for _ in range(150):
    n, m = (int(10 ** draw.uniform(0.3, 5)) for _ in range(2))
    rate = 10 ** draw.uniform(-3, -0.1)
    proportions(*((sum(draw.random() < rate for _ in range(size)), size) for size in (n, m)))

for pair in [
    ((2, 1.0, 1.0), (2, 2.0, 1.0)),
    ((2, 1.0, 0.0), (3, 2.0, 0.5)),
    ((10, 0.0, 1e-300), (10, 0.0, 2e-300)),
    ((10**12, 0.2, 0.01), (10**12, 0.200_000_4, 0.012)),
    ((10**12, 0.2, 0.01), (3, 0.3, 0.012)),
    ((1_000, 0.2, 0.01), (1_900, 0.5, 0.01)),
]:
    means(*pair)
for _ in range(120):
    arms = []
    for _ in range(2):
        count = int(10 ** draw.uniform(0.31, 6))
        variance = 10 ** draw.uniform(-3, 2)
        arms.append((count, draw.gauss(1, 3) * sqrt(variance / count), variance))
    means(*arms)

for pair in [
    ([1.0, 2.0], [3.0, 4.0]),
    ([1.0], [1.0]),
    ([5.0, 5.0, 5.0], [5.0, 5.0]),
    ([0.0, -0.0, 1.0], [-0.0, 2.0]),
    ([1e9 + 1, 1e9 + 2, 1e9 + 4], [1e9 + 2, 1e9 + 3, 1e9 + 7]),
]:
    if len(pair[0]) > 1:
        samples(*pair)
    else:
        found = stats.mannwhitneyu(*pair, method="asymptotic", use_continuity=True)
        line("ranks", found.statistic, found.pvalue, canary=pair[0], baseline=pair[1])
for _ in range(60):
    digits = draw.choice([1, 2, 6])
    shift = draw.choice([0.0, 0.2, 1.0])
    arm = lambda by: [round(draw.lognormvariate(by, 0.6), digits) for _ in range(draw.randint(3, 40))]
    samples(arm(shift), arm(0.0))

for pair in [
    ([1, 0], [0, 1]),
    ([7, 0, 0], [3, 0, 0]),
    ([80, 15, 4, 1], [800, 150, 40, 10]),
    ([80, 15, 4, 9], [800, 150, 40, 10]),
    ([10**12, 2 * 10**6, 10**5], [10**12, 10**6 + 998_000, 10**5]),
    ([10**12, 0, 0], [10**12 - 1, 0, 1]),
    ([10**12, 10**12, 10**9], [19 * 10**12, 19 * 10**12, 19 * 10**9]),
]:
    histograms(*pair)
for _ in range(60):
    buckets = draw.randint(1, 14)
    arm = lambda: [int(10 ** draw.uniform(0, 3)) - 1 for _ in range(buckets)]
    arms = arm(), arm()
    if all(sum(counts) for counts in arms):
        histograms(*arms)
