"""Film: masters are looked at and read here frame by frame, derivatives written in segments and joined."""

from storage.film.digest import film_sha256
from storage.film.errors import FilmNotWritten, UnreadableFilm
from storage.film.facts import probe
from storage.film.fields import detect_fields, refuse_interlaced
from storage.film.formats import FormatName, OutputFormat, choose_format
from storage.film.joining import JoinedFilm, join
from storage.film.labels import says_of_itself
from storage.film.pictures import read_pictures
from storage.film.reading import read_luma
from storage.film.recognition import FEWEST_FRAMES, frames_of_films
from storage.film.records import FilmFacts, Frame, Frames, Plane, SequencePattern, StreamFacts
from storage.film.sequence import find_sequence
from storage.film.shots import Shot
from storage.film.subsampling import chroma_size, subsample, subsampling_factors
from storage.film.survey import Survey, survey
from storage.film.writing import Segment, SegmentWriter, check_segment

__all__ = [
    "FEWEST_FRAMES",
    "FilmFacts",
    "FilmNotWritten",
    "FormatName",
    "Frame",
    "Frames",
    "JoinedFilm",
    "OutputFormat",
    "Plane",
    "Segment",
    "SegmentWriter",
    "SequencePattern",
    "Shot",
    "StreamFacts",
    "Survey",
    "UnreadableFilm",
    "check_segment",
    "choose_format",
    "chroma_size",
    "detect_fields",
    "film_sha256",
    "find_sequence",
    "frames_of_films",
    "join",
    "probe",
    "read_luma",
    "read_pictures",
    "refuse_interlaced",
    "says_of_itself",
    "subsample",
    "subsampling_factors",
    "survey",
]
