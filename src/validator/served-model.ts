import type { ServedModel } from './http.ts';
import type { ModelTask } from './model-task.ts';

/** A task as the HTTP server sees it. */
export function served({ model, learner, progress: { problem, age } }: ModelTask): ServedModel {
  const loading = problem === undefined ? 'the model is being loaded; try again in a few seconds' : problem.message;
  return {
    name: model.name,
    age,
    ...(learner === undefined ? { unavailable: loading } : {}),
    predict: async (instances) => (await learner?.predict(instances)) ?? [],
  };
}
