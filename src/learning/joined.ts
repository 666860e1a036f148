import type { Dataset } from './dataset.ts';

/** Rows that are in memory anyway, as a table. They are not copied. */
export function memoryTable(
  { features, labels }: { readonly features: Float32Array; readonly labels: Int32Array },
  { shape, columns, classes }: Pick<Dataset, 'shape' | 'columns' | 'classes'>,
): Dataset {
  return {
    rows: labels.length,
    columns,
    shape,
    classes,
    labels,
    kind: 'float32',
    read(rows) {
      const read = new Float32Array(rows.length * columns);
      for (const [i, row] of rows.entries())
        read.set(features.subarray(row * columns, (row + 1) * columns), i * columns);
      return read;
    },
    close: () => undefined,
  };
}

/** Two tables of equal records as one: the rows of the second follow those of the first. Closing it closes both. */
export function joined(first: Dataset, second: Dataset): Dataset {
  const { rows: end, columns, shape, classes } = first;
  const labels = new Int32Array(end + second.rows);
  labels.set(first.labels);
  labels.set(second.labels, end);
  return {
    rows: labels.length,
    columns,
    shape,
    classes,
    labels,
    kind: first.kind === second.kind ? first.kind : 'float32',
    read(rows) {
      const parts = [
        first.read(rows.filter((row) => row < end)),
        second.read(rows.filter((row) => row >= end).map((row) => row - end)),
      ] as const;
      const features = new Float32Array(rows.length * columns);
      const used = [0, 0];
      rows.forEach((row, i) => {
        const part = row < end ? 0 : 1;
        const at = used[part] as number;
        features.set(parts[part].subarray(at, at + columns), i * columns);
        used[part] = at + columns;
      });
      return features;
    },
    close() {
      first.close();
      second.close();
    },
  };
}
