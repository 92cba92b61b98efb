"""The tables of the manifest, `manifest.sqlite3`."""

from __future__ import annotations

from scraping.asking.assets import SET_APART

FILE = "manifest.sqlite3"
TABLE = "manifest.csv"
SCHEMA = f"""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE terms (
    place INTEGER PRIMARY KEY, term TEXT UNIQUE NOT NULL, folder TEXT UNIQUE NOT NULL,
    last_page INTEGER,   -- after which the results ended
    promised INTEGER     -- pages, as the site said
);
CREATE TABLE pages (
    term TEXT NOT NULL, page INTEGER NOT NULL, layout TEXT NOT NULL, unusable INTEGER NOT NULL, read_at TEXT NOT NULL,
    PRIMARY KEY (term, page));
CREATE TABLE listings (
    term TEXT NOT NULL, page INTEGER NOT NULL, position INTEGER NOT NULL, asset_id TEXT NOT NULL,
    PRIMARY KEY (term, page, position));
CREATE INDEX listings_of_asset ON listings (asset_id);
CREATE TABLE assets (
    asset_id TEXT PRIMARY KEY, term TEXT NOT NULL, page INTEGER NOT NULL, position INTEGER NOT NULL,  -- where first found
    url TEXT NOT NULL, caption TEXT NOT NULL, creator TEXT NOT NULL, credit TEXT NOT NULL,
    licence TEXT NOT NULL, licence_page TEXT NOT NULL, uploaded TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'listed',          -- listed, fetched or failed
    reason TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
    suffix TEXT, width INTEGER, height INTEGER, bytes INTEGER, sha256 TEXT, phash TEXT, fetched_at TEXT,
    set_apart TEXT NOT NULL DEFAULT '', copy_of TEXT NOT NULL DEFAULT '', near_copy_of TEXT NOT NULL DEFAULT '');
CREATE INDEX assets_of_page ON assets (term, page);
CREATE VIEW pictures AS SELECT
    a.asset_id, a.term,
    CASE WHEN status <> 'fetched' THEN ''
        ELSE CASE set_apart WHEN '' THEN first.folder ELSE '{SET_APART}' END || '/' || a.asset_id || suffix END AS file,
    status, reason, message, page, position,
    coalesce((SELECT group_concat(term, '; ') FROM (SELECT DISTINCT o.term FROM listings o JOIN terms t ON t.term = o.term
        WHERE o.asset_id = a.asset_id AND o.term <> a.term ORDER BY t.place)), '') AS other_terms,
    set_apart, copy_of, near_copy_of, caption, creator, credit, licence, licence_page, uploaded, url, width, height, bytes,
    sha256, phash, fetched_at, suffix, first.folder, first.place
    FROM assets a JOIN terms first ON first.term = a.term;
"""
# Tables of earlier versions took any page without pictures for the end. The pages after it are asked for again.
UPGRADE = ("ALTER TABLE terms ADD COLUMN promised INTEGER", "UPDATE terms SET last_page = NULL")
INTERNAL = ("suffix", "folder", "place")  # at the end of `pictures`, not in the CSV file
GIVEN = "asset_id, url, caption, creator, credit, licence, licence_page, uploaded"  # an Asset
VERSION = "1"
