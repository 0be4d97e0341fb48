#!/usr/bin/env python3
"""Writes `expected.txt`: when each expression is due in 2026, found without any of lumasync's code.

Every minute of the year is looked at, with the clocks of Python's zoneinfo. Run it in this folder.
"""

import hashlib
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = ["Europe/Paris", "America/New_York", "Asia/Kolkata"]
EXPRESSIONS = [
    "0 3 * * *",
    "30 2 * * *",
    "*/15 1,2,3 * * *",
    "30 1 * * sun",
    "*/15 * * * *",
    "7 * * * *",
    "0 */2 * * *",
    "0 0 1,15 * fri",
    "45 23 31 * *",
    "0 9-17/4 * jan-mar,nov mon-fri",
]
NAMES = {
    name: number
    for names, first in [
        ("jan feb mar apr may jun jul aug sep oct nov dec", 1),
        ("sun mon tue wed thu fri sat", 0),
    ]
    for number, name in enumerate(names.split(), first)
}
MINUTE = timedelta(minutes=1)


def numbers(field, least, most):
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first == "*":
            first, last = least, most
        first = int(NAMES.get(first, first))
        last = int(NAMES.get(last, last)) if last else first
        found.update(range(first, last + 1, int(step or 1)))
    return found


def rule(expression):
    minute, hour, day, month, weekday = expression.split()
    minutes, hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
    days, months, weekdays = numbers(day, 1, 31), numbers(month, 1, 12), numbers(weekday, 0, 6)
    either = day != "*" and weekday != "*"

    def matches(local):
        is_day, is_weekday = local.day in days, local.isoweekday() % 7 in weekdays
        return (
            local.minute in minutes
            and local.hour in hours
            and local.month in months
            and (is_day or is_weekday if either else is_day and is_weekday)
        )

    return matches, hour == "*"


def due(expression, zone):
    matches, is_pace = rule(expression)
    now, end = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2027, 1, 1, tzinfo=timezone.utc)
    latest = (now - MINUTE).astimezone(zone).replace(tzinfo=None)
    while now < end:
        local = now.astimezone(zone).replace(tzinfo=None)
        if is_pace:
            is_due = matches(local)
        else:
            # What the clocks show for the first time now, with what they have just left out.
            is_due = False
            while latest < local:
                latest += MINUTE
                is_due = is_due or matches(latest)
        if is_due:
            yield now
        now += MINUTE


def is_near_change(moment, zone):
    day = timedelta(hours=12)
    return (moment - day).astimezone(zone).utcoffset() != (moment + day).astimezone(zone).utcoffset()


def main():
    with open("expected.txt", "w", encoding="utf-8") as out:
        print("# By expected.py: zone | expression | how often in 2026 | SHA-256 of all moments, one a line", file=out)
        print("# and below each the moments within half a day of a change of the clocks.", file=out)
        for name in ZONES:
            zone = ZoneInfo(name)
            for expression in EXPRESSIONS:
                moments = list(due(expression, zone))
                lines = [moment.strftime("%Y-%m-%dT%H:%MZ\n") for moment in moments]
                digest = hashlib.sha256("".join(lines).encode()).hexdigest()
                print(f"{name} | {expression} | {len(lines)} | {digest}", file=out)
                for moment, line in zip(moments, lines):
                    if is_near_change(moment, zone):
                        print("   ", line, end="", file=out)


if __name__ == "__main__":
    main()
