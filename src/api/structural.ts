import { z } from 'zod';

/** A structural OpenAPI schema as a CustomResourceDefinition holds it. */
export interface JsonSchema {
  [key: string]: unknown;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
}

const INT32_MAX = 2_147_483_647;

/**
 * The structural schema of a zod schema (KEP 1693, "structural schemas"). zod speaks OpenAPI 3.0; what the API server
 * reads differently is put right: loose objects preserve unknown fields, int-or-string has no type, whole numbers have a
 * format in place of zod's bounds at 2^53, texts that a rule explains have no pattern.
 * @throws Error where the schema holds something that no structural schema can say, such as a union
 */
export function structuralSchema(schema: z.ZodType): JsonSchema {
  return structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }), 'object');
}

function structural(source: unknown, path: string): JsonSchema {
  if (typeof source !== 'object' || source === null) throw new Error(`${path}: no schema but ${String(source)}`);
  const schema: JsonSchema = { ...source };
  if (schema['x-kubernetes-int-or-string'] === true) {
    delete schema.type;
    schema.anyOf = [{ type: 'integer' }, { type: 'string' }];
    return schema;
  }
  for (const word of ['anyOf', 'oneOf', 'allOf', '$ref', 'not']) {
    if (word in schema)
      throw new Error(`${path}: a structural schema cannot hold ${word}; write one object and a rule`);
  }
  if (schema.type === 'object') return structuralObject(schema, path);
  if (schema.type === 'array') {
    schema.items = structural(schema.items, `${path}[]`);
  } else if (schema.type === 'integer' || (schema.type === 'number' && Array.isArray(schema.enum))) {
    structuralInteger(schema);
  } else if (schema.type === 'number') {
    throw new Error(`${path}: specs and statuses hold no floats; use decimal text`);
  } else if (schema.type === 'string') {
    if (schema.format === 'date-time') delete schema.maxLength;
  }
  return schema;
}

function structuralObject(schema: JsonSchema, path: string): JsonSchema {
  const open = schema.additionalProperties;
  if (schema.properties === undefined) {
    if (isEmpty(open)) {
      delete schema.additionalProperties;
      schema['x-kubernetes-preserve-unknown-fields'] = true;
    } else if (typeof open === 'object') {
      schema.additionalProperties = structural(open, `${path}.*`);
    }
    return schema;
  }
  delete schema.additionalProperties;
  if (isEmpty(open)) schema['x-kubernetes-preserve-unknown-fields'] = true;
  schema.properties = Object.fromEntries(
    Object.entries(schema.properties).map(([name, field]) => [name, structural(field, `${path}.${name}`)]),
  );
  return schema;
}

function structuralInteger(schema: JsonSchema): void {
  schema.type = 'integer';
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  const small = Array.isArray(schema.enum) || (typeof schema.maximum === 'number' && schema.maximum <= INT32_MAX);
  schema.format = small ? 'int32' : 'int64';
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
