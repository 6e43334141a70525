"""The Shaoxing (Chapman) database's labels, which its copies on figshare and on PhysioNet share."""

from __future__ import annotations

RHYTHM_COUNTS: dict[str, int] = {
    "SB": 3889,
    "SR": 1826,
    "AFIB": 1780,
    "ST": 1568,
    "SVT": 587,
    "AF": 445,
    "SI": 399,
    "AT": 121,
    "AVNRT": 16,
    "AVRT": 8,
    "SAAWR": 7,
}
"""Records per rhythm of all 10,646, in the order of the labels; AF is atrial flutter, AFIB fibrillation."""

RHYTHM_NAMES: dict[str, str] = {
    "SB": "sinus bradycardia",
    "SR": "sinus rhythm",
    "AFIB": "atrial fibrillation",
    "ST": "sinus tachycardia",
    "SVT": "supraventricular tachycardia",
    "AF": "atrial flutter",
    "SI": "sinus irregularity",
    "AT": "atrial tachycardia",
    "AVNRT": "atrioventricular node reentrant tachycardia",
    "AVRT": "atrioventricular reentrant tachycardia",
    "SAAWR": "sinus atrium to atrial wandering rhythm",
}
