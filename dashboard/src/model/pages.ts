// Rows of a long list, asked for page by page as they come into sight. It never has all of them.
import type { Page } from "./types.ts";

export const PAGE_ROWS = 50;
// Rows that are kept; those farthest from what is in sight go first.
const ROWS_KEPT = 1000;

export type Fetch<Row> = (offset: number, count: number) => Promise<Page<Row>>;

export class Pages<Row> {
  total = -1;  // not known yet
  error: Error | null = null;
  private rows = new Map<number, Row>();
  private asked = new Set<number>();
  private first = 0;
  private last = PAGE_ROWS;
  private isClosed = false;

  constructor(private readonly fetch: Fetch<Row>, private readonly changed: () => void) {}

  row(at: number): Row | undefined {
    return this.rows.get(at);
  }
  get size(): number {
    return this.rows.size;
  }

  // Rows from `first` up to `last` are in sight.
  show(first: number, last: number): Promise<void> {
    this.first = first;
    this.last = last;
    return this.load(false);
  }

  // What is in sight is asked for again.
  refresh(): Promise<void> {
    return this.load(true);
  }

  close(): void {
    this.isClosed = true;
  }

  private async load(isAgain: boolean): Promise<void> {
    const end = this.total < 0 ? this.last : Math.min(this.last, this.total);
    const loads = [];
    for (let page = Math.floor(this.first / PAGE_ROWS); page * PAGE_ROWS < Math.max(end, 1); page += 1) {
      if (!this.asked.has(page) && (isAgain || !this.hasAll(page))) loads.push(this.loadPage(page));
    }
    await Promise.all(loads);
  }

  private hasAll(page: number): boolean {
    if (this.total < 0) return false;
    for (let at = page * PAGE_ROWS; at < Math.min((page + 1) * PAGE_ROWS, this.total); at += 1) if (!this.rows.has(at)) return false;
    return true;
  }

  private async loadPage(page: number): Promise<void> {
    this.asked.add(page);
    try {
      let at = page * PAGE_ROWS;
      const end = at + PAGE_ROWS;
      // An answer may have fewer rows than were asked for.
      while (at < end) {
        const answer = await this.fetch(at, end - at);
        if (this.isClosed) return;
        answer.rows.forEach((row, index) => this.rows.set(at + index, row));
        this.total = answer.total;
        at += answer.rows.length;
        if (answer.rows.length === 0 || at >= answer.total) break;
      }
      this.error = null;
      this.forget();
    } catch (error) {
      this.error = error as Error;
    } finally {
      this.asked.delete(page);
      if (!this.isClosed) this.changed();
    }
  }

  private forget(): void {
    for (const at of [...this.rows.keys()]) if (at >= this.total) this.rows.delete(at);
    if (this.rows.size <= ROWS_KEPT) return;
    const middle = (this.first + this.last) / 2;
    const far = [...this.rows.keys()].sort((one, other) => Math.abs(other - middle) - Math.abs(one - middle));
    for (const at of far.slice(0, this.rows.size - ROWS_KEPT)) this.rows.delete(at);
  }
}
