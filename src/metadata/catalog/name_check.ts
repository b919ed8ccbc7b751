// SPDX-License-Identifier: Apache-2.0
/**
 * Where the catalog's records and the claims on their names disagree: what crashes leave. It changes nothing.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import { nameFile } from "./catalog_name.ts";
import type { CatalogRecord } from "./catalog_record.ts";
import type { Finding } from "../finding.ts";
import type { NameClaims } from "./name_claims.ts";

/** A disagreement. `degraded`: a record lists a name that it does not own; `stray`: a claim that nobody stands behind. */
export interface NameFinding extends Finding {
  /** The claim's file. */
  readonly file: string;
  /** The record that lists the name, when one does. */
  readonly record?: CatalogRecord;
}

/** What is compared. */
export interface NameCheckContext {
  readonly records: readonly CatalogRecord[];
  /** Records that cannot be read: their names are unknown, so their claims are left alone. */
  readonly damagedIds: ReadonlySet<RecordId>;
  readonly claims: NameClaims;
}

/** Compares all records with all claims. */
export function checkNames({ records, damagedIds, claims }: NameCheckContext): NameFinding[] {
  const listed = new Set<string>();
  const findings: NameFinding[] = [];
  for (const record of records) {
    for (const name of record.names) {
      const file = nameFile(name);
      const claimant = claims.claimant(name);
      if (claimant === record.id) listed.add(file);
      else findings.push(lostName(record, { name, file, path: claims.path(file), claimant }));
    }
  }
  for (const file of claims.files()) {
    const claimant = file.startsWith(".") ? undefined : claims.claimantIn(file);
    if (listed.has(file) || (claimant !== undefined && damagedIds.has(claimant))) continue;
    findings.push(strayClaim(file, claims.path(file)));
  }
  return findings;
}

function lostName(
  record: CatalogRecord,
  { name, file, path, claimant }: { name: string; file: string; path: string; claimant: RecordId | undefined },
): NameFinding {
  const owner = claimant === undefined ? "nobody" : `"${claimant}"`;
  const error = new StrataError(
    "CORRUPT",
    `Cannot find record "${record.id}" by its name "${name}": "${path}" gives it to ${owner}; ` +
      `run "strata fsck --repair"`,
    { path },
  );
  return { severity: "degraded", kind: "name", subject: name, path, error, file, record };
}

function strayClaim(file: string, path: string): NameFinding {
  const error = new StrataError(
    "CORRUPT",
    `Cannot use the name in "${path}": no record lists it; it is ignored, and "strata fsck --repair" removes it`,
    { path },
  );
  return { severity: "stray", kind: "name", subject: file, path, error, file };
}
