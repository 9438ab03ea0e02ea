import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dashboardFile } from '../../monitoring/dashboards/build.ts';
import { dashboards } from '../../monitoring/dashboards/index.ts';
import { alerts } from '../../monitoring/rules/index.ts';
import { annotationsOf } from '../../monitoring/rules-file.ts';

interface Built {
  uid: string;
  templating: { list: { name: string; type: string }[] };
  panels: { type: string; title: string; datasource?: { uid: string }; targets?: Target[] }[];
}

interface Target {
  expr: string;
  datasource: { uid: string };
}

const built = dashboards.map(dashboard => JSON.parse(dashboardFile(dashboard)) as Built);

test('each panel asks the data source that is chosen, for the release that is chosen', () => {
  for (const { panels, templating } of built) {
    assert.deepEqual(
      templating.list.map(({ name, type }) => `${name} ${type}`),
      ['datasource datasource', 'cluster query', 'namespace query', 'job query'],
    );
    for (const { type, title, datasource, targets = [] } of panels) {
      if (type === 'row') continue;
      assert.equal(datasource?.uid, '$datasource', title);
      assert.ok(targets.length > 0, title);
      for (const target of targets) {
        assert.equal(target.datasource.uid, '$datasource', title);
        for (const [selector] of target.expr.matchAll(/\{[^}]*\}/g)) {
          assert.match(selector, /^\{cluster=~"\$cluster",namespace="\$namespace"/, title);
        }
      }
    }
  }
});

test('each rate is over the interval that fits the panel', () => {
  const expressions = built.flatMap(({ panels }) =>
    panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  );
  for (const expression of expressions) {
    const rates = [...expression.matchAll(/\b(?:rate|increase)\([^[]*\[([^\]]*)\]/g)].map(([, window]) => window);
    assert.deepEqual(new Set(rates), new Set(rates.length === 0 ? [] : ['$__rate_interval']), expression);
  }
});

test('each alert leads to a dashboard that there is', () => {
  const uids = built.map(({ uid }) => `/d/${uid}`);
  for (const alert of alerts) assert.ok(uids.includes(annotationsOf(alert).dashboard_url ?? ''), alert.name);
});
