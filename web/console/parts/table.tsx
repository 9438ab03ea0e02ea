import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  name: string;
  /** Numbers stand at the right. */
  isNumber?: boolean;
  /** What a narrow screen leaves out. */
  isMinor?: boolean;
  cell(row: Row): ComponentChildren;
}

export interface TableProps<Row> {
  /** Names the table for everybody: it is its caption. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf(row: Row): string | number;
  /** What stands in place of rows. */
  nothing: string;
  /** A further class for a row. */
  classOf?(row: Row): string;
  /** A table in a box of its own height. */
  isTall?: boolean;
}

/** A table that scrolls within itself where it is too wide. The first column heads its row. */
export function Table<Row>({ label, columns, rows, keyOf, nothing, classOf, isTall = false }: TableProps<Row>) {
  const classes = ({ isNumber, isMinor }: Column<Row>) =>
    [isNumber ? 'number' : '', isMinor ? 'minor' : ''].filter(Boolean).join(' ');
  return (
    <Scroll isTall={isTall}>
      <table aria-label={label}>
        <thead>
          <tr>
            {columns.map(column => (
              <th key={column.name} scope="col" class={classes(column)}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={keyOf(row)} class={classOf?.(row)}>
              {columns.map((column, index) =>
                index === 0 ? (
                  <th key={column.name} scope="row" class={classes(column)}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.name} class={classes(column)}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr>
              <td class="soft" colSpan={columns.length}>
                {nothing}
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </Scroll>
  );
}

/** What scrolls within itself must be reachable by keyboard. The table in it has the name. */
export function Scroll({ isTall = false, children }: { isTall?: boolean; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields
    <div class={`scroll ${isTall ? 'tall' : ''}`} role="group" aria-label="Scrolls" tabIndex={0}>
      {children}
    </div>
  );
}
