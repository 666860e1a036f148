import { KINDS, type Kind, type KindName } from '../../../src/api/index.ts';
import { type JsonSchema, structuralSchema } from '../../../src/api/structural.ts';

/** How a field's values are made: by its type alone, or (text, map, list, open) with samples beside. */
export type FieldType = 'boolean' | 'integer' | 'enum' | 'intOrString' | 'text' | 'map' | 'list' | 'open' | 'object';

/** One field of a kind's spec that a person may write. */
export interface Field {
  readonly kind: KindName;
  /** Steps below `spec`; `0` is the first item of a list. */
  readonly path: readonly string[];
  readonly type: FieldType;
  readonly schema: JsonSchema;
  /** Name under which samples are kept: a fleet's template has those of a ValidatorNode. */
  readonly sample: string;
}

const TEMPLATE = ['template', 'spec'];

/** Every field of the kind's spec, from its zod schema: leaves, and the objects and lists that hold them. */
export function fieldsOf(kind: KindName): readonly Field[] {
  const of: Kind = KINDS[kind];
  const spec = structuralSchema(of.schema).properties?.spec;
  if (spec === undefined) throw new Error(`${kind} has no spec`);
  return below(kind, spec, []);
}

/** Fields that hold a value themselves; the others are only there to be of the wrong type. */
export const isLeaf = ({ type }: Field): boolean => type !== 'object';

function below(kind: KindName, schema: JsonSchema, path: readonly string[]): readonly Field[] {
  const type = typeOf(schema);
  const own: readonly Field[] = path.length === 0 ? [] : [{ kind, path, type, schema, sample: sampleOf(kind, path) }];
  if (schema.properties !== undefined) {
    return [
      ...own,
      ...Object.entries(schema.properties).flatMap(([name, field]) => below(kind, field, [...path, name])),
    ];
  }
  // The list itself, and the first of its items.
  if (schema.items?.properties !== undefined) {
    return [...own, ...below(kind, schema.items, [...path, '0']).filter(({ path: at }) => at.length > path.length + 1)];
  }
  return own;
}

function typeOf(schema: JsonSchema): FieldType {
  if (schema['x-kubernetes-int-or-string'] === true) return 'intOrString';
  if (Array.isArray(schema.enum)) return 'enum';
  if (schema.properties !== undefined) return 'object';
  switch (schema.type) {
    case 'boolean':
    case 'integer':
      return schema.type;
    case 'string':
      return 'text';
    case 'array':
      return 'list';
    case 'object':
      return typeof schema.additionalProperties === 'object' ? 'map' : 'open';
    default:
      throw new Error(`a field of type ${String(schema.type)} is not known here: say in fields.ts how it is mutated`);
  }
}

function sampleOf(kind: KindName, path: readonly string[]): string {
  const inTemplate = kind === 'ValidatorFleet' && TEMPLATE.every((step, at) => path[at] === step);
  return inTemplate && path.length > TEMPLATE.length
    ? `ValidatorNode.${path.slice(TEMPLATE.length).join('.')}`
    : `${kind}.${path.join('.')}`;
}
