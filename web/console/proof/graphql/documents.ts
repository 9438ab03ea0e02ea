// Made by `npm run web:types` of documents.graphql. Do not edit.
/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
export type NewestQueryVariables = Exact<{ [key: string]: never; }>;


export type NewestQuery = { transactions: { edges: Array<{ node: { id: string } }> } };

export type ViewQueryVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ViewQuery = { transactions: { edges: Array<{ node: { id: string } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } };

export type ChangesSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type ChangesSubscription = { transactions: { id: string } };

export type OpenMutationVariables = Exact<{
  commandId?: string | number | null | undefined;
}>;


export type OpenMutation = { openAccount: { success: boolean, reason: string | null, iban: string | null, token: string | null } };

export type PayMutationVariables = Exact<{
  commandId?: string | number | null | undefined;
  token: string;
  amount: number;
  from: string;
  to: string;
}>;


export type PayMutation = { transferMoney: { success: boolean, reason: string | null } };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}

export const NewestDocument = new TypedDocumentString(`
    query Newest {
  transactions(first: 1) {
    edges {
      node {
        id
      }
    }
  }
}
    `) as unknown as TypedDocumentString<NewestQuery, NewestQueryVariables>;
export const ViewDocument = new TypedDocumentString(`
    query View($after: String) {
  transactions(first: 50, after: $after) {
    edges {
      node {
        id
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    `) as unknown as TypedDocumentString<ViewQuery, ViewQueryVariables>;
export const ChangesDocument = new TypedDocumentString(`
    subscription Changes {
  transactions {
    id
  }
}
    `) as unknown as TypedDocumentString<ChangesSubscription, ChangesSubscriptionVariables>;
export const OpenDocument = new TypedDocumentString(`
    mutation Open($commandId: ID) {
  openAccount(commandId: $commandId) {
    success
    reason
    iban
    token
  }
}
    `) as unknown as TypedDocumentString<OpenMutation, OpenMutationVariables>;
export const PayDocument = new TypedDocumentString(`
    mutation Pay($commandId: ID, $token: String!, $amount: Cents!, $from: String!, $to: String!) {
  transferMoney(
    commandId: $commandId
    token: $token
    amount: $amount
    from: $from
    to: $to
    descr: "simulated"
  ) {
    success
    reason
  }
}
    `) as unknown as TypedDocumentString<PayMutation, PayMutationVariables>;
